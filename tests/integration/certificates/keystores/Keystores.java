import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.security.Key;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.util.Base64;
import java.util.Collections;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * What Java makes of keystores, for the tests: many of them in one start.
 *
 * <p>Each line of standard input is a command of fields divided by tabs; each answer ends with a
 * line "end". {@code read TYPE FILE STORE_PASSWORD KEY_PASSWORD} lists the entries;
 * {@code connect PORT TYPE FILE PASSWORD} opens a TLS connection to localhost with mutual
 * authentication, both with the key of the file and by its trusted certificates.
 */
public final class Keystores {
    private static final Base64.Encoder BASE64 = Base64.getEncoder();

    public static void main(String[] arguments) throws Exception {
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String[] fields = line.split("\t");
            try {
                if (fields[0].equals("read")) {
                    read(fields[1], fields[2], fields[3], fields[4]);
                } else {
                    connect(Integer.parseInt(fields[1]), fields[2], fields[3], fields[4]);
                }
            } catch (Exception error) {
                System.out.println("error\t" + error);
            }
            System.out.println("end");
        }
    }

    private static KeyStore load(String type, String file, String password) throws Exception {
        KeyStore store = KeyStore.getInstance(type);
        try (InputStream content = new FileInputStream(new File(file))) {
            store.load(content, password.toCharArray());
        }
        return store;
    }

    private static void read(String type, String file, String storePassword, String keyPassword)
            throws Exception {
        KeyStore store = load(type, file, storePassword);
        for (String alias : Collections.list(store.aliases())) {
            if (store.isCertificateEntry(alias)) {
                System.out.println("trusted\t" + alias + "\t" + encoded(store.getCertificate(alias)));
                continue;
            }
            Key key = store.getKey(alias, keyPassword.toCharArray());
            StringBuilder entry = new StringBuilder("key\t" + alias);
            entry.append("\t").append(BASE64.encodeToString(key.getEncoded()));
            for (Certificate certificate : store.getCertificateChain(alias)) {
                entry.append("\t").append(encoded(certificate));
            }
            System.out.println(entry);
        }
    }

    private static String encoded(Certificate certificate) throws Exception {
        return BASE64.encodeToString(certificate.getEncoded());
    }

    private static void connect(int port, String type, String file, String password)
            throws Exception {
        KeyStore store = load(type, file, password);
        KeyManagerFactory keys =
                KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, password.toCharArray());
        TrustManagerFactory trust =
                TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        try (SSLSocket socket =
                (SSLSocket) context.getSocketFactory().createSocket("localhost", port)) {
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            BufferedReader answer =
                    new BufferedReader(new InputStreamReader(socket.getInputStream(), "UTF-8"));
            System.out.println("heard\t" + socket.getSession().getProtocol() + "\t" + answer.readLine());
        }
    }
}
