-- keywright: the whole schema, readable from top to bottom.
--
-- Everything lives in the Postgres schema "keywright" and runs on PostgreSQL 15 and later without
-- extensions. `keywright database create` applies this file in one transaction. Rules that must
-- always hold are constraints with names that read as sentences; the code relies on them.

CREATE SCHEMA keywright;
COMMENT ON SCHEMA keywright IS 'keywright schema version 4';


-- Tells this installation's messages from those of any other: part of every Message-ID.
CREATE TABLE keywright.installation (
    installation_id  uuid     NOT NULL DEFAULT gen_random_uuid(),
    is_the_only_one  boolean  PRIMARY KEY DEFAULT true CHECK (is_the_only_one)
);
INSERT INTO keywright.installation DEFAULT VALUES;


-- --------------------------------------------------------------------------------- who acts here --

-- Who is at work in this transaction, for jobs and the audit record: keywright's processes say it
-- with the settings keywright.actor, keywright.door and keywright.job_id. What a login says of itself
-- counts for little, so the audit record keeps the database role, too.
CREATE FUNCTION keywright.actor() RETURNS text LANGUAGE sql STABLE
RETURN coalesce(nullif(current_setting('keywright.actor', true), ''), 'database:' || session_user);

-- Through which door: cli, amqp, sql, python, schedule, job. What comes from elsewhere is plain SQL.
CREATE FUNCTION keywright.door() RETURNS text LANGUAGE sql STABLE
RETURN coalesce(nullif(current_setting('keywright.door', true), ''), 'sql');

-- On behalf of which job; NULL: of none.
CREATE FUNCTION keywright.acting_job() RETURNS bigint LANGUAGE sql STABLE
RETURN nullif(current_setting('keywright.job_id', true), '')::bigint;


-- ------------------------------------------------------------------ organizations and members --

-- A tenant. Its local calendar decides on which day, and its sending hour at what time of that
-- day, its notices go out.
CREATE TABLE keywright.organization (
    organization_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             text        NOT NULL CHECK (name = btrim(name) AND length(name) BETWEEN 1 AND 80),
    is_sandbox       boolean     NOT NULL DEFAULT false,  -- said in every subject line
    time_zone        text        NOT NULL DEFAULT 'UTC',  -- IANA name; checked before it is stored
    sending_hour     smallint    NOT NULL DEFAULT 8 CHECK (sending_hour BETWEEN 0 AND 23),
    mutual_tls_since timestamptz,                         -- NULL: mutual authentication is off (rule 31)
    -- So many unfinished jobs requesters may have here at a time; what keywright asks of itself is free.
    most_open_jobs   integer     NOT NULL DEFAULT 10000 CHECK (most_open_jobs BETWEEN 0 AND 1000000),
    created_at       timestamptz NOT NULL DEFAULT now()
);
-- Names are how people and the command line speak of an organization.
CREATE UNIQUE INDEX organization_names_are_unique ON keywright.organization (lower(name));

CREATE TYPE keywright.member_profile AS ENUM (
    'system_administrator',  -- told at 1 and 0 days, and at every tier while nobody holds the permission
    'standard'               -- told only what their permissions say
);

-- A person in an organization.
CREATE TABLE keywright.member (
    member_id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id  bigint      NOT NULL REFERENCES keywright.organization,
    name             text        NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    email            text        NOT NULL CHECK (email ~ '^[^@[:space:]<>]+@[^@[:space:]<>]+$'),
    profile          keywright.member_profile NOT NULL DEFAULT 'standard',
    -- receive_expiration_notices  the holders of the model's rule 51
    -- modify_all_data             counts as an administrator for notices (rule 51)
    -- view_encrypted_data         sees encrypted fields unmasked (rule 47)
    -- manage_certificates         may fetch what keystore exports made (rule 45)
    -- enforce_mutual_tls          every API call of theirs needs a known client certificate (rule 34)
    permissions      text[]      NOT NULL DEFAULT '{}'
        CONSTRAINT permissions_are_known
        CHECK (permissions <@ ARRAY['receive_expiration_notices', 'modify_all_data',
                                    'view_encrypted_data', 'manage_certificates',
                                    'enforce_mutual_tls']),
    active           boolean     NOT NULL DEFAULT true,   -- a deactivated member is never told anything
    time_zone        text,                                -- for the dates in their mail; NULL: the organization's
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, member_id)                   -- lets other tables pin a member to its organization
);
CREATE UNIQUE INDEX member_emails_are_unique_in_an_organization
    ON keywright.member (organization_id, lower(email));


-- ----------------------------------------------------------------------------------- requesters --

-- The kinds of job, from the contract: written by `keywright database create`, so that the SQL door
-- checks what the others check.
CREATE TABLE keywright.job_kind (
    kind             text        PRIMARY KEY CHECK (kind ~ '^[a-z][a-z_]*\.[a-z][a-z_]*$'),
    queue            text        NOT NULL,
    max_attempts     smallint    NOT NULL,
    for_requesters   boolean     NOT NULL,                -- whether others may ask for it at all
    most_bytes       integer     NOT NULL,                -- of its arguments, as JSON
    arguments        jsonb       NOT NULL                 -- JSON Schema (2020-12)
);

-- Another system that may ask for jobs. On RabbitMQ its user says who it is, in SQL its login role.
CREATE TABLE keywright.requester (
    requester_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             text        NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
    broker_user      text        UNIQUE CHECK (length(broker_user) BETWEEN 1 AND 255),
    database_role    text        UNIQUE CHECK (length(database_role) BETWEEN 1 AND 63),
    disabled_at      timestamptz,                         -- refused like an unknown one since
    created_at       timestamptz NOT NULL DEFAULT now()
);

-- What a requester may ask for: nothing that does not stand here.
CREATE TABLE keywright.requester_grant (
    requester_id     bigint      NOT NULL REFERENCES keywright.requester ON DELETE CASCADE,
    organization_id  bigint      NOT NULL REFERENCES keywright.organization,
    kind             text        NOT NULL REFERENCES keywright.job_kind,
    granted_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (requester_id, organization_id, kind)
);
CREATE INDEX requester_grant_organization ON keywright.requester_grant (organization_id);

-- Who is logged in, if it is a requester; looked up with the owner's rights.
CREATE FUNCTION keywright.current_requester() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (SELECT requester_id FROM keywright.requester
         WHERE database_role = session_user AND disabled_at IS NULL);


-- ------------------------------------------------------------------------------------- the jobs --

-- One per workload, most urgent first: the order in which a worker that serves several takes them.
CREATE TYPE keywright.queue AS ENUM ('notifications', 'certificates', 'encryption', 'maintenance');

CREATE TYPE keywright.job_state AS ENUM (
    'scheduled',  -- waits for run_at: not offered to any worker yet, or waiting to be tried again
    'ready',      -- due and offered: a hint has been given to the transport
    'running',    -- claimed by one worker, until lease_until
    'succeeded',  -- finished; the effect was committed together with this state
    'failed',     -- finished; problem says why. `keywright job retry` makes it scheduled again
    'cancelled'   -- finished; somebody asked for it
);

-- The ledger: a job is a row here, and a message on RabbitMQ only says "look at job N".
CREATE TABLE keywright.job (
    job_id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind              text        NOT NULL CHECK (kind ~ '^[a-z][a-z_]*\.[a-z][a-z_]*$'),
    queue             keywright.queue NOT NULL,
    organization_id   bigint      REFERENCES keywright.organization,
    arguments         jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(arguments) = 'object'),
    unique_key        text        CHECK (length(unique_key) BETWEEN 1 AND 300),  -- of a requester: its name first
    requester_id      bigint      REFERENCES keywright.requester,  -- NULL: asked for by keywright or its operators
    requested_by      text        NOT NULL DEFAULT keywright.actor() CHECK (length(requested_by) BETWEEN 1 AND 200),
    door              text        NOT NULL DEFAULT keywright.door() CHECK (length(door) BETWEEN 1 AND 20),
    reply_to          text        CHECK (length(reply_to) BETWEEN 1 AND 255),  -- a queue that is told the end
    correlation_id    text        CHECK (length(correlation_id) <= 255),
    state             keywright.job_state NOT NULL DEFAULT 'scheduled',
    run_at            timestamptz NOT NULL DEFAULT now(),
    attempt           smallint    NOT NULL DEFAULT 0,     -- counted when claimed, so a job that kills its worker ends
    max_attempts      smallint    NOT NULL CHECK (max_attempts BETWEEN 1 AND 1000),
    hinted_at         timestamptz,                        -- when a hint was last given to the transport
    hints             smallint    NOT NULL DEFAULT 0,     -- how many since it became due; spaces out repeats
    claim             uuid,                               -- the fence: only who knows it may finish the job
    worker            text,                               -- host:pid of the last worker, for people
    lease_until       timestamptz,
    cancel_asked_at   timestamptz,
    progress          jsonb,                              -- {done, total, since, at}: of long jobs
    result            jsonb,
    problem           jsonb,                              -- RFC 9457, of the last failed attempt
    enqueued_at       timestamptz NOT NULL DEFAULT now(),
    started_at        timestamptz,
    finished_at       timestamptz,
    CONSTRAINT running_jobs_are_claimed_and_leased
        CHECK ((state = 'running') = (claim IS NOT NULL AND lease_until IS NOT NULL)),
    CONSTRAINT finished_jobs_have_an_end
        CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
    CONSTRAINT failed_jobs_say_why
        CHECK (state <> 'failed' OR problem IS NOT NULL),
    CONSTRAINT attempts_stay_within_their_limit
        CHECK (attempt BETWEEN 0 AND max_attempts)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- One unfinished job per unique key, kind and organization: asking again finds the first.
CREATE UNIQUE INDEX job_is_unique_while_unfinished
    ON keywright.job (kind, organization_id, unique_key) NULLS NOT DISTINCT
    WHERE unique_key IS NOT NULL AND state IN ('scheduled', 'ready', 'running');
-- The relay: whether anything is due in a queue. Written so that it serves this question alone: with
-- an empty table's statistics, it would seem as good as the next one for what that is for.
CREATE INDEX job_due ON keywright.job (queue, (run_at AT TIME ZONE 'UTC')) WHERE state = 'scheduled';
-- And what is each organization's, oldest first; 0 stands for keywright itself.
CREATE INDEX job_scheduled ON keywright.job (queue, coalesce(organization_id, 0), run_at, job_id)
    WHERE state = 'scheduled';
-- The relay: how much is out there already, and which hints must have been lost.
CREATE INDEX job_ready ON keywright.job (queue, hinted_at) WHERE state = 'ready';
-- How many jobs of requesters an organization has open.
CREATE INDEX job_requested ON keywright.job (organization_id)
    WHERE requester_id IS NOT NULL AND state IN ('scheduled', 'ready', 'running');
-- What a requester asked for.
CREATE INDEX job_requester ON keywright.job (requester_id, job_id) WHERE requester_id IS NOT NULL;
-- The reaper: leases that ran out.
CREATE INDEX job_running ON keywright.job (lease_until) WHERE state = 'running';
-- People: what failed lately.
CREATE INDEX job_failed ON keywright.job (finished_at) WHERE state = 'failed';
-- `keywright status`: when the last scan ended.
CREATE INDEX job_last_scan ON keywright.job (finished_at)
    WHERE kind = 'expiry.scan' AND state = 'succeeded';

-- What came in as a message, so that coming again it finds its job: CloudEvents' source and id.
CREATE TABLE keywright.intake (
    requester_id     bigint      NOT NULL REFERENCES keywright.requester ON DELETE CASCADE,
    source           text        NOT NULL CHECK (length(source) BETWEEN 1 AND 200),
    event_id         text        NOT NULL CHECK (length(event_id) BETWEEN 1 AND 200),
    content_hash     bytea       NOT NULL CHECK (length(content_hash) = 32),  -- the same id with other content is refused
    job_id           bigint      NOT NULL,                -- no reference: finished jobs are purged before
    received_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (requester_id, source, event_id)
);
CREATE INDEX intake_received_at ON keywright.intake (received_at);

-- Answers on their way to a queue of the requester's; gone once the broker has them.
CREATE TABLE keywright.reply (
    reply_id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id           bigint      NOT NULL,
    kind             text        NOT NULL,                -- job.accepted, job.succeeded, …
    reply_to         text        NOT NULL,
    correlation_id   text,
    data             jsonb       NOT NULL CHECK (jsonb_typeof(data) = 'object'),
    written_at       timestamptz NOT NULL DEFAULT now()
);

-- However a job ends, who asked to be told is told.
CREATE FUNCTION keywright.answer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO keywright.reply (job_id, kind, reply_to, correlation_id, data)
    VALUES (NEW.job_id, 'job.' || NEW.state, NEW.reply_to, NEW.correlation_id,
            jsonb_build_object('job_id', NEW.job_id, 'kind', NEW.kind, 'state', NEW.state,
                               'result', NEW.result, 'problem', NEW.problem));
    RETURN NULL;
END $$;
CREATE TRIGGER ends_are_answered AFTER UPDATE OF state ON keywright.job
    FOR EACH ROW WHEN (NEW.reply_to IS NOT NULL AND NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL)
    EXECUTE FUNCTION keywright.answer();

-- The scheduler's memory: each time a schedule fired. Two schedulers on one tick meet at this key,
-- and a scheduler that was down sees here where to go on.
CREATE TABLE keywright.fire (
    schedule   text        NOT NULL,
    fire_at    timestamptz NOT NULL,
    job_id     bigint      NOT NULL,   -- no reference: finished jobs are purged, fires stay
    fired_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schedule, fire_at)
);


-- --------------------------------------------------------------------------------- certificates --

CREATE TYPE keywright.certificate_kind AS ENUM (
    'self_signed',  -- made here, signed by its own key
    'ca_signed',    -- made here, signed by a certification authority
    'imported'      -- made elsewhere; only its public part is known
);

-- A named certificate. What has dates is its versions.
CREATE TABLE keywright.certificate (
    certificate_id   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id  bigint      NOT NULL REFERENCES keywright.organization,
    unique_name      text        NOT NULL
        CONSTRAINT unique_names_follow_rule_2
        CHECK (unique_name ~ '^[A-Za-z](_?[A-Za-z0-9])*$' AND length(unique_name) <= 64),
    label            text        NOT NULL CONSTRAINT labels_follow_rule_1 CHECK (length(label) BETWEEN 1 AND 64),
    kind             keywright.certificate_kind NOT NULL,
    -- Whether its private keys may leave in a keystore; set when it is made, and never after (rule 6).
    private_key_exportable boolean NOT NULL DEFAULT true,
    -- What it was made from: profile, key type, subject, alternative names. Renewals repeat it.
    made_from        jsonb       CHECK (jsonb_typeof(made_from) = 'object'),
    created_at       timestamptz NOT NULL DEFAULT now(),
    deleted_at       timestamptz,                          -- its name is free; it can still be brought back
    purge_at         timestamptz,                          -- when what is deleted goes for good
    UNIQUE (organization_id, certificate_id),
    CONSTRAINT only_what_is_deleted_is_purged CHECK (purge_at IS NULL OR deleted_at IS NOT NULL)
);
-- What can still be brought back, by name.
CREATE INDEX certificate_deleted
    ON keywright.certificate (organization_id, lower(unique_name)) WHERE deleted_at IS NOT NULL;
-- The clean-up: what has waited long enough.
CREATE INDEX certificate_purge_at ON keywright.certificate (purge_at) WHERE purge_at IS NOT NULL;
-- The model's rule 3: unique in the organization; the name of a deleted certificate is free again.
CREATE UNIQUE INDEX certificate_names_are_unique
    ON keywright.certificate (organization_id, lower(unique_name)) WHERE deleted_at IS NULL;

-- One key pair with its certificate and dates. Everything a scan, a listing or a notice needs is a
-- column: no DER is parsed after import, so one strange certificate can never stop the others.
CREATE TABLE keywright.certificate_version (
    version_id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    certificate_id   bigint      NOT NULL,
    organization_id  bigint      NOT NULL,
    version_number   integer     NOT NULL DEFAULT 1 CHECK (version_number >= 1),
    -- NULL dates: no signed certificate yet. Such a version is unusable and silent (rules 13, 58).
    not_before       timestamptz,
    not_after        timestamptz,                          -- the end that counts: the earliest in its chain
    leaf_not_after   timestamptz,                          -- its own end, where its chain ends before it
    ends_first       text,                                 -- who in its chain ends first then: RFC 4514
    serial           text,                                 -- lower-case hexadecimal
    fingerprint      bytea       CHECK (length(fingerprint) = 32),  -- SHA-256 over the DER
    subject          text,                                 -- RFC 4514
    issuer           text,                                 -- RFC 4514
    key_algorithm    text        NOT NULL,                 -- RSA, EC P-256, Ed25519, …
    key_size         integer,                              -- bits; NULL where the algorithm says it
    certificate_der  bytea,
    chain_der        bytea[]     NOT NULL DEFAULT '{}',    -- the issuers that came with it, nearest first
    csr_der          bytea,                                -- PKCS #10: what a CA is to sign
    public_key_hash  bytea       CHECK (length(public_key_hash) = 32),  -- SHA-256 over the SubjectPublicKeyInfo
    -- PKCS #8, as ciphertext under the organization's master key: an encrypted field like any other
    -- (certificate.private_key). NULL for what was imported as a public certificate.
    private_key      bytea,
    -- Since when keywright answers for it. A tier that was due before is recorded as already past.
    known_since      timestamptz NOT NULL DEFAULT now(),
    is_newest        boolean     NOT NULL DEFAULT true,    -- kept by a trigger: no version has a higher number
    replaced_at      timestamptz,                          -- a later version or certificate took its place
    acknowledged_at  timestamptz,                          -- still in use, and somebody knows it
    -- When the next tier is due; NULL: nothing to tell any more. The scan reads only this.
    next_notice_at   timestamptz,
    FOREIGN KEY (organization_id, certificate_id)
        REFERENCES keywright.certificate (organization_id, certificate_id),
    UNIQUE (certificate_id, version_number),
    UNIQUE (organization_id, version_id),
    CONSTRAINT dates_come_together CHECK ((not_before IS NULL) = (not_after IS NULL)),
    CONSTRAINT leaf_ends_later_or_says_nothing CHECK (leaf_not_after > not_after),
    CONSTRAINT unusable_versions_are_silent CHECK (not_after IS NOT NULL OR next_notice_at IS NULL)
) WITH (fillfactor = 90);
-- The expiry scan: its cost grows with what is due, not with what exists.
CREATE INDEX certificate_version_next_notice
    ON keywright.certificate_version (next_notice_at) WHERE next_notice_at IS NOT NULL;
-- Import recognises what is there already.
CREATE INDEX certificate_version_fingerprint
    ON keywright.certificate_version (organization_id, fingerprint);
-- Listings by expiry.
CREATE INDEX certificate_version_not_after
    ON keywright.certificate_version (organization_id, not_after);
-- The expiry scan: what has ended since, whoever's it is. An expression, so that no other query is
-- planned with this index, which knows neither organizations nor the newest.
CREATE INDEX certificate_version_end ON keywright.certificate_version ((not_after AT TIME ZONE 'UTC'));

-- What is to be rekeyed or cleaned up: past versions, of which there may be many, do not count.
CREATE INDEX certificate_version_newest_not_after
    ON keywright.certificate_version (organization_id, not_after) WHERE is_newest;

CREATE FUNCTION keywright.note_newest_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE keywright.certificate_version AS version SET is_newest = false
      FROM (SELECT certificate_id, max(version_number) AS version_number
              FROM added WHERE version_number > 1 GROUP BY certificate_id) AS latest
     WHERE version.certificate_id = latest.certificate_id
       AND version.version_number < latest.version_number AND version.is_newest;
    RETURN NULL;
END $$;
CREATE TRIGGER newer_versions_come_after AFTER INSERT ON keywright.certificate_version
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION keywright.note_newest_versions();

-- What was settled when a certificate or a key pair was made stays so (rules 6 and 7).
CREATE FUNCTION keywright.keep_as_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% cannot change after it was made', TG_ARGV[0]
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER certificates_stay_as_made BEFORE UPDATE OF kind, private_key_exportable ON keywright.certificate
    FOR EACH ROW WHEN (OLD.kind <> NEW.kind OR OLD.private_key_exportable <> NEW.private_key_exportable)
    EXECUTE FUNCTION keywright.keep_as_made('the type of a certificate, and whether its key may leave,');
CREATE TRIGGER keys_stay_as_made BEFORE UPDATE OF key_algorithm, key_size, public_key_hash ON keywright.certificate_version
    FOR EACH ROW WHEN (OLD.key_algorithm <> NEW.key_algorithm OR OLD.key_size IS DISTINCT FROM NEW.key_size
                       OR OLD.public_key_hash <> NEW.public_key_hash)
    EXECUTE FUNCTION keywright.keep_as_made('a key');

-- A place where a certificate is used, and the version it has. INSERT, UPDATE and DELETE may come
-- from anywhere: the triggers in “where certificates are used” see to locks, refusals and notices.
CREATE TABLE keywright.usage (
    usage_id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id  bigint      NOT NULL,
    version_id       bigint      NOT NULL,
    place_kind       text        NOT NULL CHECK (place_kind ~ '^[a-z][a-z_]*$'),  -- saml_configuration, api_client, …
    place            text        NOT NULL CHECK (length(place) BETWEEN 1 AND 200),
    registered_at    timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (organization_id, version_id)
        REFERENCES keywright.certificate_version (organization_id, version_id),
    CONSTRAINT a_place_uses_one_version UNIQUE (organization_id, place_kind, place)
);
CREATE INDEX usage_version ON keywright.usage (version_id);


-- ------------------------------------------------------------------------------ expiry notices --

CREATE TYPE keywright.audience AS ENUM (
    'holders',        -- active members with receive_expiration_notices; with none, the administrators
    'administrators'  -- active system administrators, and active members with modify_all_data
);

-- The default policy (rules 51, 52). A tier is told min(tier_days, life / life_divisor) before the
-- end, so that certificates of a few weeks do not warn at birth; 6, 12 and 36 give exactly 60, 30
-- and 10 days over a year.
CREATE TABLE keywright.tier (
    tier_days     smallint PRIMARY KEY,
    audience      keywright.audience NOT NULL,
    life_divisor  smallint
);
INSERT INTO keywright.tier (tier_days, audience, life_divisor) VALUES
    (60, 'holders', 6), (30, 'holders', 12), (10, 'holders', 36),
    (1, 'administrators', NULL), (0, 'administrators', NULL);

-- When a tier is due. Date arithmetic in the organization's calendar: on the local day that lies
-- the tier's distance before the end, at the sending hour (rule 69). A certificate that lives less
-- than 14 days is counted in hours instead: rounding to a day could fall after its end.
-- One expression without FROM, so that the planner can put it in place of the call.
CREATE FUNCTION keywright.tier_due_at(
    tier_days smallint, life_divisor smallint, not_before timestamptz, not_after timestamptz,
    time_zone text, sending_hour smallint
) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN not_after - not_before < interval '14 days'
    THEN not_after - LEAST(tier_days * interval '1 day', (not_after - not_before) / life_divisor)
    ELSE (((not_after - LEAST(tier_days * interval '1 day', (not_after - not_before) / life_divisor))
           AT TIME ZONE time_zone)::date + sending_hour * interval '1 hour') AT TIME ZONE time_zone
END;

CREATE TYPE keywright.tier_outcome AS ENUM (
    'already_past',  -- was due before keywright knew the version: never told
    'told',          -- at least one member was told at this tier
    'superseded',    -- everyone concerned was told at a more urgent tier instead (after downtime)
    'nobody'         -- no active member was there to tell; `keywright status` complains
);

-- What became of each tier of each version. A tier without a row here is still to come.
CREATE TABLE keywright.tier_record (
    version_id   bigint      NOT NULL REFERENCES keywright.certificate_version,
    tier_days    smallint    NOT NULL REFERENCES keywright.tier,
    outcome      keywright.tier_outcome NOT NULL,
    decided_at   timestamptz NOT NULL,
    PRIMARY KEY (version_id, tier_days)
);
CREATE INDEX tier_record_unheard ON keywright.tier_record (decided_at) WHERE outcome = 'nobody';

-- Up to when the ends of certificates are announced. What had ended before it was known is not.
CREATE TABLE keywright.expiry_mark (
    announced_until  timestamptz NOT NULL DEFAULT now(),
    is_the_only_one  boolean     PRIMARY KEY DEFAULT true CHECK (is_the_only_one)
);
INSERT INTO keywright.expiry_mark DEFAULT VALUES;

-- Work out afresh what is still to be told of these versions, and when: called in the transaction
-- that stores a version, or changes what its dates depend on. Tiers that were due before known_since
-- are recorded as already past; tiers with a record stay as they are.
CREATE FUNCTION keywright.schedule_notices(version_ids bigint[]) RETURNS void LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO keywright.tier_record (version_id, tier_days, outcome, decided_at)
    SELECT version.version_id, tier.tier_days, 'already_past', now()
      FROM keywright.certificate_version AS version
      JOIN keywright.organization USING (organization_id)
     CROSS JOIN keywright.tier
     WHERE version.version_id = ANY (version_ids)
       AND keywright.tier_due_at(tier.tier_days, tier.life_divisor, version.not_before,
                                 version.not_after, organization.time_zone,
                                 organization.sending_hour) <= version.known_since
        ON CONFLICT DO NOTHING;
    UPDATE keywright.certificate_version AS version
       SET next_notice_at = (
               -- Nothing is told of what was deleted, acknowledged, or replaced and left by its
               -- last place.
               SELECT min(keywright.tier_due_at(tier.tier_days, tier.life_divisor,
                                                version.not_before, version.not_after,
                                                organization.time_zone, organization.sending_hour))
                 FROM keywright.tier
                WHERE NOT EXISTS (SELECT FROM keywright.tier_record AS record
                                   WHERE record.version_id = version.version_id
                                     AND record.tier_days = tier.tier_days)
                  AND certificate.deleted_at IS NULL AND version.acknowledged_at IS NULL
                  AND (version.replaced_at IS NULL
                       OR EXISTS (SELECT FROM keywright.usage
                                   WHERE usage.version_id = version.version_id)))
      FROM keywright.organization, keywright.certificate
     WHERE certificate.certificate_id = version.certificate_id AND version.version_id = ANY (version_ids)
       AND organization.organization_id = version.organization_id;
END;

CREATE TYPE keywright.digest_state AS ENUM (
    'open',       -- collects notices
    'sending',    -- closed: a worker composes and sends it, or will try again
    'sent',       -- accepted by the mail server
    'failed',     -- refused by the mail server, or given up
    'cancelled'   -- nothing left to tell, or nobody left to tell it to
);

-- One message with all of a member's notices of one local day (rule 53: at most one a day).
CREATE TABLE keywright.digest (
    digest_id        bigint      GENERATED ALWAYS AS IDENTITY UNIQUE,
    organization_id  bigint      NOT NULL,
    member_id        bigint      NOT NULL,
    local_day        date        NOT NULL,
    send_at          timestamptz NOT NULL,
    state            keywright.digest_state NOT NULL DEFAULT 'open',
    job_id           bigint,                               -- the job that delivers it
    CONSTRAINT one_digest_per_member_and_day PRIMARY KEY (member_id, local_day),
    FOREIGN KEY (organization_id, member_id) REFERENCES keywright.member (organization_id, member_id)
);
-- The scan: digests that are due and have no job yet; `keywright status`: how late is the oldest.
CREATE INDEX digest_unsent ON keywright.digest (send_at) WHERE state IN ('open', 'sending');
CREATE INDEX digest_failed ON keywright.digest (send_at) WHERE state = 'failed';

CREATE TYPE keywright.notice_state AS ENUM (
    'planned',      -- stands in a digest that is still to be sent
    'sent',         -- its digest was accepted by the mail server
    'failed',       -- its digest was refused or given up
    'superseded',   -- the member was told at a more urgent tier instead (after downtime)
    'cancelled'     -- deleted, replaced, or the member left, before it was sent; reason says which
);

-- One fact to tell one recipient.
CREATE TABLE keywright.notice (
    version_id   bigint      NOT NULL REFERENCES keywright.certificate_version,
    tier_days    smallint    NOT NULL REFERENCES keywright.tier,
    member_id    bigint      NOT NULL REFERENCES keywright.member,
    local_day    date        NOT NULL,                     -- of the digest that carries it
    state        keywright.notice_state NOT NULL,
    reason       text,
    planned_at   timestamptz NOT NULL,
    CONSTRAINT one_notice_per_version_tier_and_member PRIMARY KEY (version_id, tier_days, member_id),
    CONSTRAINT cancelled_notices_say_why CHECK (state <> 'cancelled' OR reason IS NOT NULL)
) WITH (fillfactor = 90);
-- A digest's notices; "what was this person told".
CREATE INDEX notice_digest ON keywright.notice (member_id, local_day);

CREATE TYPE keywright.delivery_channel AS ENUM ('email');

CREATE TYPE keywright.delivery_state AS ENUM (
    'sending',    -- written before the first byte goes out; found after a crash, it is sent again
                  -- under the same Message-ID: an alert told twice is better than one never told
    'deferred',   -- the server said "later" (4xx) or could not be reached
    'accepted',   -- the server took it (250)
    'refused',    -- the server said no for this recipient (5xx)
    'given_up'    -- deferred until the job had no attempts left; `keywright job retry` tries again
);

-- One attempt record per digest and channel; with the keys above, unique per version, tier,
-- recipient and channel.
CREATE TABLE keywright.delivery (
    digest_id      bigint      NOT NULL REFERENCES keywright.digest (digest_id),
    channel        keywright.delivery_channel NOT NULL,
    state          keywright.delivery_state NOT NULL,
    attempt        smallint    NOT NULL DEFAULT 1,
    message_id     text        NOT NULL,                   -- deterministic: the same at every attempt
    smtp_code      smallint,
    smtp_reply     text,                                   -- what the server answered, shortened
    begun_at       timestamptz NOT NULL,
    finished_at    timestamptz,
    PRIMARY KEY (digest_id, channel)
);


-- -------------------------------------------------------------------- where certificates are used --

-- Whoever changes usages or certificates in plain SQL meets the same rules as whoever goes through
-- jobs or commands. Locks are taken in the order usage, organization, certificate, version; several
-- certificates in the order of their ids.

-- Tell nothing more of these versions; notices that wait to be sent are cancelled (rule 57). In
-- plpgsql, since each of its statements sees what was committed before that statement.
CREATE FUNCTION keywright.silence_versions(version_ids bigint[], why text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- A scan may be planning notices of a version: we wait until it has committed, locking in its
    -- order, and only the second statement sees what it planned.
    WITH warning AS (
        SELECT version_id FROM keywright.certificate_version
         WHERE version_id = ANY (version_ids) AND next_notice_at IS NOT NULL
         ORDER BY next_notice_at
           FOR UPDATE
    )
    UPDATE keywright.certificate_version AS version SET next_notice_at = NULL
      FROM warning
     WHERE version.version_id = warning.version_id;
    UPDATE keywright.notice SET state = 'cancelled', reason = why
     WHERE version_id = ANY (version_ids) AND state = 'planned';
END $$;

-- Before a usage changes: nobody else changes the certificates that it leaves and that it gets until
-- we commit. So a usage cannot appear on a certificate that is being deleted (rule 61), and the last
-- of several usages to go knows that it is the last.
CREATE FUNCTION keywright.admit_usage() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted record;
BEGIN
    PERFORM FROM keywright.certificate
      WHERE certificate_id IN (SELECT certificate_id FROM keywright.certificate_version
                                WHERE version_id IN (OLD.version_id, NEW.version_id))
      ORDER BY certificate_id
        FOR NO KEY UPDATE;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    SELECT unique_name, deleted_at, version_number, not_after INTO wanted
      FROM keywright.certificate_version
      JOIN keywright.certificate USING (certificate_id)
     WHERE version_id = NEW.version_id;
    IF wanted.deleted_at IS NOT NULL THEN
        RAISE EXCEPTION 'certificate "%" was deleted: nothing can use it', wanted.unique_name
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'deleted_certificates_are_not_used';
    ELSIF wanted.unique_name IS NOT NULL AND wanted.not_after IS NULL THEN
        RAISE EXCEPTION 'version % of certificate "%" is not signed yet: nothing can use it',
                        wanted.version_number, wanted.unique_name
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'unusable_versions_are_not_used';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER usages_come_one_by_one BEFORE INSERT OR DELETE ON keywright.usage
    FOR EACH ROW EXECUTE FUNCTION keywright.admit_usage();
CREATE TRIGGER usages_move_one_by_one BEFORE UPDATE ON keywright.usage
    FOR EACH ROW WHEN (OLD.version_id <> NEW.version_id) EXECUTE FUNCTION keywright.admit_usage();

-- After usages have changed: a version warns as long as a place has it, and a replaced one falls
-- silent with its last usage, unless it was silent already.
CREATE FUNCTION keywright.follow_usages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        -- A replaced version may have fallen silent when its last place left; it warns again.
        PERFORM keywright.schedule_notices(ARRAY(SELECT DISTINCT version_id FROM come));
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM keywright.silence_versions(
            ARRAY(SELECT DISTINCT version_id
                    FROM gone
                    JOIN keywright.certificate_version AS version USING (version_id)
                   WHERE replaced_at IS NOT NULL
                     AND NOT EXISTS (SELECT FROM keywright.usage
                                      WHERE usage.version_id = version.version_id)),
            'replaced');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER notices_follow_new_usages AFTER INSERT ON keywright.usage
    REFERENCING NEW TABLE AS come
    FOR EACH STATEMENT EXECUTE FUNCTION keywright.follow_usages();
CREATE TRIGGER notices_follow_moved_usages AFTER UPDATE ON keywright.usage
    REFERENCING OLD TABLE AS gone NEW TABLE AS come
    FOR EACH STATEMENT EXECUTE FUNCTION keywright.follow_usages();
CREATE TRIGGER notices_follow_removed_usages AFTER DELETE ON keywright.usage
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION keywright.follow_usages();

-- Whether a version of the certificate is the old or the new one of a replacement under way. In
-- plpgsql, which lets it stand before the table that it looks into.
CREATE FUNCTION keywright.is_being_replaced(id bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM keywright.certificate_version AS version
                     JOIN keywright.replacement ON old_version_id = version.version_id
                    WHERE version.certificate_id = id AND state = 'staged')
        OR EXISTS (SELECT FROM keywright.certificate_version AS version
                     JOIN keywright.replacement ON new_version_id = version.version_id
                    WHERE version.certificate_id = id AND state = 'staged');
END $$;

-- Before a certificate is deleted: not while a place uses any of its versions (rule 60), or is about
-- to. What is deleted gets the day on which it goes for good.
CREATE FUNCTION keywright.admit_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    places text;
BEGIN
    IF NEW.deleted_at IS NULL THEN
        NEW.purge_at := NULL;
        RETURN NEW;
    END IF;
    SELECT string_agg(format('%s: %s (version %s)', place_kind, place, version_number), ', '
                      ORDER BY place_kind, place) INTO places
      FROM keywright.certificate_version
      JOIN keywright.usage USING (version_id)
     WHERE certificate_id = NEW.certificate_id;
    IF places IS NOT NULL THEN
        RAISE EXCEPTION 'certificate "%" is still in use: %', NEW.unique_name, places
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'certificates_in_use_are_not_deleted';
    ELSIF keywright.is_being_replaced(NEW.certificate_id) THEN
        RAISE EXCEPTION 'certificate "%" is part of a replacement that is under way', NEW.unique_name
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'replacements_end_before_deletion';
    END IF;
    NEW.purge_at := coalesce(NEW.purge_at, NEW.deleted_at + make_interval(days => coalesce(
        (SELECT grace_days FROM keywright.certificate_policy
          WHERE organization_id = NEW.organization_id), 30)));
    RETURN NEW;
END $$;
CREATE TRIGGER deletion_is_refused_while_in_use BEFORE UPDATE ON keywright.certificate
    FOR EACH ROW WHEN (OLD.deleted_at IS DISTINCT FROM NEW.deleted_at)
    EXECUTE FUNCTION keywright.admit_deletion();

-- After certificates were deleted or brought back: nothing is told of the former; of the latter,
-- what is still to come, and what waited to be sent when they were deleted.
CREATE FUNCTION keywright.follow_deletions() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    deleted  bigint[];
    restored bigint[];
BEGIN
    -- A FULL JOIN is hashed also by a plan that was made when a statement changed one row.
    SELECT array_agg(version_id) FILTER (WHERE latter.deleted_at IS NOT NULL),
           array_agg(version_id) FILTER (WHERE latter.deleted_at IS NULL)
      INTO deleted, restored
      FROM former FULL JOIN latter USING (certificate_id)
      JOIN keywright.certificate_version USING (certificate_id)
     WHERE (former.deleted_at IS NULL) <> (latter.deleted_at IS NULL);
    IF deleted IS NOT NULL THEN
        PERFORM keywright.silence_versions(deleted, 'deleted');
    END IF;
    IF restored IS NOT NULL THEN
        WITH withdrawn AS (
            DELETE FROM keywright.notice
             WHERE version_id = ANY (restored) AND state = 'cancelled' AND reason = 'deleted'
            RETURNING version_id, tier_days
        )
        DELETE FROM keywright.tier_record AS record
         USING withdrawn
         WHERE record.version_id = withdrawn.version_id AND record.tier_days = withdrawn.tier_days
           AND NOT EXISTS (SELECT FROM keywright.notice AS other
                            WHERE other.version_id = withdrawn.version_id
                              AND other.tier_days = withdrawn.tier_days
                              AND other.state IN ('planned', 'sent'));
        PERFORM keywright.schedule_notices(restored);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER notices_follow_deletions AFTER UPDATE ON keywright.certificate
    REFERENCING OLD TABLE AS former NEW TABLE AS latter
    FOR EACH STATEMENT EXECUTE FUNCTION keywright.follow_deletions();


-- --------------------------------------------------------------------------------- master keys --

CREATE TYPE keywright.master_key_state AS ENUM (
    'pre_active',   -- stored and readable by every process; encrypts nothing yet
    'active',       -- encrypts and decrypts: one per organization
    'suspended',    -- neither, until it is archived again
    'archived',     -- decrypts only (SP 800-57: deactivated)
    'compromised',  -- decrypts only, and its values are to be re-encrypted soon
    'destroyed'     -- its material is gone; an import of its export brings it back as archived
);

-- The legal moves of a master key (SP 800-57 part 1 §7; back from destroyed is the model's rule 43).
CREATE TABLE keywright.master_key_transition (
    from_state  keywright.master_key_state NOT NULL,
    to_state    keywright.master_key_state NOT NULL,
    PRIMARY KEY (from_state, to_state)
);
INSERT INTO keywright.master_key_transition (from_state, to_state) VALUES
    ('pre_active', 'active'), ('pre_active', 'destroyed'),
    ('active', 'archived'), ('active', 'compromised'),
    ('suspended', 'archived'), ('suspended', 'compromised'), ('suspended', 'destroyed'),
    ('archived', 'suspended'), ('archived', 'compromised'), ('archived', 'destroyed'),
    ('compromised', 'destroyed'),
    ('destroyed', 'archived');

CREATE TYPE keywright.master_key_origin AS ENUM (
    'generated',  -- made here
    'uploaded'    -- brought by the organization
);

-- A master key, without its material: that is in master_key_wrap, and only as a root key wrapped it.
CREATE TABLE keywright.master_key (
    master_key_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id  bigint      NOT NULL REFERENCES keywright.organization,
    -- Stands in every value that it encrypts (u32), and is never used again (rule 44).
    key_number       bigint      NOT NULL CHECK (key_number BETWEEN 1 AND 4294967295),
    state            keywright.master_key_state NOT NULL,
    -- Who moved it here, why and when: told in the statement that moves it, kept in the history.
    state_actor      text        NOT NULL CHECK (length(state_actor) BETWEEN 1 AND 200),
    state_reason     text        NOT NULL CHECK (length(state_reason) BETWEEN 1 AND 500),
    state_since      timestamptz NOT NULL DEFAULT now(),
    origin           keywright.master_key_origin NOT NULL,
    check_value      bytea       NOT NULL CHECK (length(check_value) = 5),   -- AES-CMAC of a zero block (X9.24-1)
    fingerprint      bytea       NOT NULL CHECK (length(fingerprint) = 32),  -- HMAC-SHA-256 under the key itself
    uses_leased      bigint      NOT NULL DEFAULT 0 CHECK (uses_leased >= 0),  -- encryptions, counted in blocks ahead of use
    destroy_at       timestamptz,                      -- its destruction is scheduled, and can still be cancelled
    created_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT key_numbers_are_never_reused UNIQUE (organization_id, key_number),
    CONSTRAINT a_secret_is_used_once UNIQUE (fingerprint),
    CONSTRAINT active_keys_are_not_to_be_destroyed
        CHECK (destroy_at IS NULL OR state NOT IN ('active', 'destroyed'))
);
CREATE UNIQUE INDEX one_active_key_per_organization
    ON keywright.master_key (organization_id) WHERE state = 'active';
CREATE INDEX master_key_destroy_at ON keywright.master_key (destroy_at) WHERE destroy_at IS NOT NULL;

-- Every move of every master key. The reference makes an illegal move impossible.
CREATE TABLE keywright.master_key_history (
    master_key_id  bigint      NOT NULL REFERENCES keywright.master_key,
    moved_at       timestamptz NOT NULL,
    from_state     keywright.master_key_state,         -- NULL: it was made
    to_state       keywright.master_key_state NOT NULL,
    actor          text        NOT NULL,
    reason         text        NOT NULL,
    history_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    CONSTRAINT moves_are_legal FOREIGN KEY (from_state, to_state)
        REFERENCES keywright.master_key_transition
);
CREATE INDEX master_key_history_key ON keywright.master_key_history (master_key_id);

CREATE FUNCTION keywright.record_master_key_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.state_since := clock_timestamp();
    INSERT INTO keywright.master_key_history
           (master_key_id, moved_at, from_state, to_state, actor, reason)
    VALUES (NEW.master_key_id, NEW.state_since, CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END,
            NEW.state, NEW.state_actor, NEW.state_reason);
    RETURN NEW;
END $$;
CREATE TRIGGER master_key_moves BEFORE UPDATE OF state ON keywright.master_key
    FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION keywright.record_master_key_move();
CREATE TRIGGER master_key_begins AFTER INSERT ON keywright.master_key
    FOR EACH ROW EXECUTE FUNCTION keywright.record_master_key_move();

-- What an organization once had, it always has: an active key. Checked at the end of a transaction.
CREATE FUNCTION keywright.require_an_active_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM keywright.master_key
                    WHERE organization_id = OLD.organization_id AND state = 'active') THEN
        RAISE EXCEPTION 'organization % would be left without an active master key', OLD.organization_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'an_active_key_gives_way_to_another';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER an_active_key_gives_way_to_another AFTER UPDATE OF state ON keywright.master_key
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.state = 'active' AND NEW.state <> 'active')
    EXECUTE FUNCTION keywright.require_an_active_key();

CREATE FUNCTION keywright.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is not allowed', TG_OP, TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER master_keys_are_never_deleted BEFORE DELETE OR TRUNCATE ON keywright.master_key
    FOR EACH STATEMENT EXECUTE FUNCTION keywright.refuse();
CREATE TRIGGER history_is_never_changed
    BEFORE UPDATE OR DELETE OR TRUNCATE ON keywright.master_key_history
    FOR EACH STATEMENT EXECUTE FUNCTION keywright.refuse();

-- A master key's material, wrapped. While a root key takes the place of another, each master key has
-- two rows here, so every process can read it, whichever of the two root keys it knows.
CREATE TABLE keywright.master_key_wrap (
    master_key_id  bigint      NOT NULL REFERENCES keywright.master_key,
    root_key       text        NOT NULL,               -- names it: file:…, aws-kms:…, pkcs11:…; holds no secret
    wrapped_key    bytea       NOT NULL,
    wrapped_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (master_key_id, root_key)
);
CREATE INDEX master_key_wrap_root_key ON keywright.master_key_wrap (root_key);

-- How often an organization's active key gives way to a new one by itself.
CREATE TABLE keywright.rotation_policy (
    organization_id  bigint   PRIMARY KEY REFERENCES keywright.organization,
    every_days       integer  NOT NULL CHECK (every_days BETWEEN 1 AND 3650),
    reencrypt        boolean  NOT NULL DEFAULT true    -- and have the encrypted fields follow
);


-- A key pair to which requesters seal secrets (HPKE, RFC 9180). The newest is published; the one
-- before it opens what was sealed until it retires.
CREATE TABLE keywright.sealing_key (
    sealing_key_id   text        PRIMARY KEY CHECK (sealing_key_id ~ '^[a-z0-9]{8,32}$'),  -- in what is sealed to it
    public_key       bytea       NOT NULL CHECK (length(public_key) = 32),  -- X25519, raw
    created_at       timestamptz NOT NULL DEFAULT now(),
    opens_until      timestamptz,                         -- NULL: it is the one to seal to
    gone_at          timestamptz                          -- its private key was removed
);
CREATE UNIQUE INDEX one_sealing_key_is_published ON keywright.sealing_key ((true)) WHERE opens_until IS NULL;

-- Its private key, as a root key wrapped it.
CREATE TABLE keywright.sealing_key_wrap (
    sealing_key_id   text        NOT NULL REFERENCES keywright.sealing_key,
    root_key         text        NOT NULL,
    wrapped_key      bytea       NOT NULL,
    wrapped_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sealing_key_id, root_key)
);


-- ----------------------------------------------------------------------------- encrypted fields --

CREATE TYPE keywright.field_state AS ENUM (
    'plaintext',   -- registered; nothing is encrypted yet
    'encrypting',  -- new values are encrypted, a run encrypts the old ones; readers accept both
    'encrypted',   -- every value is ciphertext
    'decrypting'   -- new values are plaintext, a run decrypts the old ones; readers accept both
);

CREATE TYPE keywright.mask_type AS ENUM ('all', 'last_four', 'credit_card', 'ssn', 'sin', 'nino');

-- A column whose values are keywright ciphertext: the registry.
CREATE TABLE keywright.encrypted_field (
    field_id             uuid        PRIMARY KEY DEFAULT gen_random_uuid(),  -- in the associated data: names may change
    field_name           text        NOT NULL CONSTRAINT field_names_are_unique UNIQUE
        CONSTRAINT field_names_are_plain CHECK (field_name ~ '^[a-z][a-z0-9_.]{0,62}$'),
    connection_name      text        CHECK (connection_name ~ '^[a-z][a-z0-9_]{0,30}$'),  -- NULL: this database
    table_schema         text        NOT NULL,
    table_name           text        NOT NULL,
    column_name          text        NOT NULL,
    column_type          text        NOT NULL CHECK (column_type IN ('bytea', 'text')),
    key_columns          text[]      NOT NULL CHECK (cardinality(key_columns) BETWEEN 1 AND 8),
    key_types            text[]      NOT NULL,         -- as the associated data tells them apart
    organization_column  text,                         -- says per row whose it is; or all rows are one's:
    organization_id      bigint      REFERENCES keywright.organization,
    mask_type            keywright.mask_type NOT NULL DEFAULT 'all',
    mask_character       text        NOT NULL DEFAULT '*' CHECK (mask_character IN ('*', 'X')),
    state                keywright.field_state NOT NULL DEFAULT 'plaintext',
    registered_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT a_column_is_registered_once
        UNIQUE NULLS NOT DISTINCT (connection_name, table_schema, table_name, column_name),
    CONSTRAINT rows_belong_to_somebody
        CHECK ((organization_column IS NULL) <> (organization_id IS NULL)),
    CONSTRAINT key_columns_have_types CHECK (cardinality(key_types) = cardinality(key_columns))
);
CREATE INDEX encrypted_field_table
    ON keywright.encrypted_field (connection_name, table_schema, table_name);
-- Our own: the private keys of certificates. The id stands in their associated data and never changes.
INSERT INTO keywright.encrypted_field
       (field_id, field_name, table_schema, table_name, column_name, column_type, key_columns,
        key_types, organization_column, state)
VALUES ('6b657977-7269-4768-8474-000000000001', 'certificate.private_key', 'keywright',
        'certificate_version', 'private_key', 'bytea', '{version_id}', '{bigint}',
        'organization_id', 'encrypted');


-- -------------------------------------------------------------------------------- re-encryption --

CREATE TYPE keywright.reencryption_purpose AS ENUM (
    'reencrypt',  -- bring every value under the organization's active key
    'encrypt',    -- the same, and plaintext too
    'decrypt'     -- turn every value back into plaintext
);

CREATE TYPE keywright.reencryption_state AS ENUM (
    'starting',    -- asked for; the write fence and the plan are still to come
    'rewriting',   -- workers rewrite ranges; pass 1 is everything, later ones what was left
    'verifying',   -- two censuses found nothing left: workers open every value under the target key
    'paused',      -- by a person, or because something must be seen to first; waiting_for says what
    'cancelled',   -- finished: what was rewritten stays so
    'completed'    -- finished: nothing left but what is in quarantine
);

-- A bulk run for one organization.
CREATE TABLE keywright.reencryption_run (
    run_id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id  bigint      NOT NULL REFERENCES keywright.organization,
    purpose          keywright.reencryption_purpose NOT NULL,
    field_ids        uuid[]      NOT NULL CHECK (cardinality(field_ids) > 0),
    target_number    bigint,                           -- the key that all values move to; NULL: none, they become plaintext
    state            keywright.reencryption_state NOT NULL DEFAULT 'starting',
    resume_state     keywright.reencryption_state,     -- where a paused run goes on
    waiting_for      text,                             -- why it goes slowly, or not at all, right now
    options          jsonb       NOT NULL,             -- workers, transaction time, limits
    plan             jsonb,                            -- what the dry run or the start predicted
    pass             integer     NOT NULL DEFAULT 1,
    zero_censuses    smallint    NOT NULL DEFAULT 0,   -- in a row, begun after the fence
    fenced_at        timestamptz,                      -- no writer is left that knew the key before
    requested_by     text        NOT NULL,
    requested_at     timestamptz NOT NULL DEFAULT now(),
    started_at       timestamptz,
    finished_at      timestamptz,
    report           jsonb,
    progress_told_at timestamptz,                      -- when it was last announced how far it is,
    progress_told    smallint    NOT NULL DEFAULT 0,   -- and how far it was: percent of its phase
    CONSTRAINT finished_runs_have_an_end
        CHECK ((state IN ('cancelled', 'completed')) = (finished_at IS NOT NULL)),
    CONSTRAINT paused_runs_know_where_to_go_on CHECK ((state = 'paused') = (resume_state IS NOT NULL)),
    CONSTRAINT decryption_alone_has_no_target CHECK ((target_number IS NULL) = (purpose = 'decrypt'))
);
-- Two runs of one organization would undo each other's work.
CREATE UNIQUE INDEX one_run_at_a_time_per_organization
    ON keywright.reencryption_run (organization_id) WHERE state NOT IN ('cancelled', 'completed');

-- A piece of a table that one worker rewrites or verifies at a time. Columns of one table go together.
CREATE TABLE keywright.reencryption_range (
    range_id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id        bigint      NOT NULL REFERENCES keywright.reencryption_run,
    pass          integer     NOT NULL,
    is_check      boolean     NOT NULL DEFAULT false,  -- of the verification
    field_ids     uuid[]      NOT NULL,                -- the columns: all of one table
    by_blocks     boolean     NOT NULL,                -- in physical order, else by primary key
    lower_bound   jsonb,                               -- a block number, or a key as a list; NULL: from the start
    upper_bound   jsonb,                               -- exclusive; NULL: to the end
    position      jsonb,                               -- rewritten up to here
    job_id        bigint,                              -- the job at work on it, and its claim: the range is free
    claim         uuid,                                -- again as soon as no job is running under that claim
    rewritten     bigint      NOT NULL DEFAULT 0,      -- rows; or verified, in a check
    conflicts     bigint      NOT NULL DEFAULT 0,      -- rows that somebody else wrote, or kept locked, meanwhile
    quarantined   bigint      NOT NULL DEFAULT 0,      -- values
    finished_at   timestamptz,
    CONSTRAINT claims_are_of_a_job CHECK ((claim IS NULL) = (job_id IS NULL)),
    CONSTRAINT finished_ranges_are_free CHECK (finished_at IS NULL OR claim IS NULL)
) WITH (fillfactor = 50);
CREATE INDEX reencryption_range_open
    ON keywright.reencryption_range (run_id, range_id) WHERE finished_at IS NULL;
CREATE INDEX reencryption_range_run ON keywright.reencryption_range (run_id, pass);

CREATE TYPE keywright.quarantine_class AS ENUM (
    'malformed',        -- begins like a ciphertext and is none
    'unknown_key',      -- names a key that the organization never had
    'destroyed_key',    -- names a key whose material is gone
    'suspended_key',    -- names a key that may not be used for now
    'tag_mismatch',     -- damaged or forged: it does not authenticate
    'moved_row',        -- authenticates as the value of another row, field or organization
    'plaintext_found'   -- is no ciphertext, in a field that holds nothing else
);

-- A value that a run could not open: left as it is, so that it can be seen to.
CREATE TABLE keywright.quarantine (
    quarantine_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    field_id         uuid        NOT NULL REFERENCES keywright.encrypted_field,
    organization_id  bigint      NOT NULL REFERENCES keywright.organization,
    row_key          text[]      NOT NULL,             -- the primary key, as Postgres writes it
    class            keywright.quarantine_class NOT NULL,
    key_number       bigint,                           -- that the value names, if it names one
    value_hash       bytea       NOT NULL CHECK (length(value_hash) = 32),  -- SHA-256 of the stored value: is it still the same?
    first_seen_at    timestamptz NOT NULL,
    first_run_id     bigint      NOT NULL REFERENCES keywright.reencryption_run,
    last_seen_at     timestamptz NOT NULL,
    last_run_id      bigint      NOT NULL REFERENCES keywright.reencryption_run,
    last_pass        integer     NOT NULL,
    resolved_at      timestamptz,                      -- opened after all, rewritten by its owner, or gone
    CONSTRAINT a_value_is_quarantined_once UNIQUE (field_id, row_key)
);
CREATE INDEX quarantine_open ON keywright.quarantine (organization_id, field_id) WHERE resolved_at IS NULL;
CREATE INDEX quarantine_key ON keywright.quarantine (organization_id, key_number) WHERE resolved_at IS NULL;

-- ----------------------------------------------------------- certificates: replacement, clean-up --

-- When keywright rekeys self-signed certificates by itself, and deletes expired ones, per organization.
CREATE TABLE keywright.certificate_policy (
    organization_id        bigint  PRIMARY KEY REFERENCES keywright.organization,
    -- A new self-signed key pair so many days before the end, staged as a replacement; NULL: never.
    rekey_days_before      integer CHECK (rekey_days_before BETWEEN 1 AND 365),
    -- Expired for so many days and used nowhere: deleted; NULL: never.
    delete_expired_after_days integer CHECK (delete_expired_after_days BETWEEN 0 AND 3650),
    -- What is deleted can be brought back for so many days.
    grace_days             integer NOT NULL DEFAULT 30 CHECK (grace_days BETWEEN 0 AND 3650)
);

CREATE TYPE keywright.replacement_state AS ENUM (
    'staged',       -- both are valid; places may switch one by one
    'completed',    -- every place has switched and given up the old one
    'rolled_back'   -- every place has the old one again
);

-- The usages of one version move to another version (of the same certificate or of another one).
CREATE TABLE keywright.replacement (
    replacement_id   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id  bigint      NOT NULL REFERENCES keywright.organization,
    old_version_id   bigint      NOT NULL,
    new_version_id   bigint      NOT NULL,
    state            keywright.replacement_state NOT NULL DEFAULT 'staged',
    requested_by     text        NOT NULL,
    reason           text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    -- By when a place without deadlines of its own takes each step: all before the old one ends,
    -- unless it had ended already.
    overlap_by       timestamptz NOT NULL,
    switch_by        timestamptz NOT NULL,
    retire_by        timestamptz NOT NULL,
    started_at       timestamptz NOT NULL DEFAULT now(),
    finished_at      timestamptz,
    finished_by      text,
    -- What is purged for good takes its replacements along.
    FOREIGN KEY (organization_id, old_version_id)
        REFERENCES keywright.certificate_version (organization_id, version_id) ON DELETE CASCADE,
    FOREIGN KEY (organization_id, new_version_id)
        REFERENCES keywright.certificate_version (organization_id, version_id) ON DELETE CASCADE,
    CONSTRAINT something_changes CHECK (old_version_id <> new_version_id),
    CONSTRAINT steps_have_an_order CHECK (overlap_by <= switch_by AND switch_by <= retire_by),
    CONSTRAINT finished_once_over
        CHECK ((state = 'staged') = (finished_at IS NULL) AND (finished_at IS NULL) = (finished_by IS NULL))
);
CREATE UNIQUE INDEX one_replacement_at_a_time
    ON keywright.replacement (old_version_id) WHERE state = 'staged';
CREATE INDEX replacement_old_version ON keywright.replacement (old_version_id);
CREATE INDEX replacement_new_version ON keywright.replacement (new_version_id);
CREATE INDEX replacement_staged ON keywright.replacement (organization_id) WHERE state = 'staged';

CREATE TYPE keywright.replacement_step_state AS ENUM (
    'waiting',      -- the place has the old one
    'overlapping',  -- it has been given the new one, too, and accepts both; it uses the old one
    'switched',     -- it uses the new one, and accepts both
    'retired'       -- and has given up the old one
);

-- One place's part of a replacement, as it was last recorded: replacement_progress says how it stands.
CREATE TABLE keywright.replacement_step (
    replacement_id   bigint      NOT NULL REFERENCES keywright.replacement ON DELETE CASCADE,
    place_kind       text        NOT NULL,
    place            text        NOT NULL,
    state            keywright.replacement_step_state NOT NULL DEFAULT 'waiting',
    overlap_by       timestamptz NOT NULL,
    switch_by        timestamptz NOT NULL,
    retire_by        timestamptz NOT NULL,
    changed_by       text        NOT NULL,
    changed_at       timestamptz NOT NULL DEFAULT now(),
    overdue_told_for timestamptz,                       -- the deadline that was missed, once that was announced
    PRIMARY KEY (replacement_id, place_kind, place),
    CONSTRAINT steps_follow_each_other CHECK (overlap_by <= switch_by AND switch_by <= retire_by)
);

-- Where the places of each replacement stand. Usages are also added, moved and removed by hand, so
-- while a replacement is staged the usage decides, and the recorded step says the rest.
CREATE VIEW keywright.replacement_progress AS
SELECT standing.*,
       CASE standing.state WHEN 'waiting' THEN overlap_by
                           WHEN 'overlapping' THEN switch_by
                           WHEN 'switched' THEN retire_by END AS due_at  -- NULL: nothing is to be done
  FROM (SELECT replacement.replacement_id, replacement.organization_id,
               place.place_kind, place.place, usage.usage_id,
               CASE WHEN replacement.state <> 'staged'
                    THEN step.state
                    WHEN usage.version_id = replacement.old_version_id
                    THEN CASE step.state WHEN 'switched' THEN 'overlapping'
                                         WHEN 'retired' THEN 'waiting'
                                         ELSE coalesce(step.state, 'waiting') END
                    WHEN usage.version_id = replacement.new_version_id
                    THEN greatest(step.state, 'switched')
                END AS state,                             -- NULL: the place has neither of the two any more
               coalesce(step.overlap_by, replacement.overlap_by) AS overlap_by,
               coalesce(step.switch_by, replacement.switch_by) AS switch_by,
               coalesce(step.retire_by, replacement.retire_by) AS retire_by,
               step.changed_by, step.changed_at, step.overdue_told_for
          FROM keywright.replacement
         CROSS JOIN LATERAL (
               SELECT place_kind, place FROM keywright.replacement_step
                WHERE replacement_step.replacement_id = replacement.replacement_id
                UNION
               SELECT place_kind, place FROM keywright.usage
                WHERE usage.version_id = replacement.old_version_id
                  AND replacement.state = 'staged') AS place
          LEFT JOIN keywright.replacement_step AS step USING (replacement_id, place_kind, place)
          LEFT JOIN keywright.usage
                 ON usage.organization_id = replacement.organization_id
                AND usage.place_kind = place.place_kind AND usage.place = place.place) AS standing;


-- -------------------------------------------------------------------------- SAML single sign-on --

-- Certificates that SAML configurations once had by default, whatever their name and organization:
-- none may select one any more (rule 65).
CREATE TABLE keywright.retired_default (
    fingerprint      bytea       PRIMARY KEY CHECK (length(fingerprint) = 32),
    subject          text        NOT NULL,
    retired_by       text        NOT NULL,
    retired_at       timestamptz NOT NULL DEFAULT now()
);

-- Organizations that may have more than one SAML configuration.
CREATE TABLE keywright.saml_multiple (
    organization_id  bigint      PRIMARY KEY REFERENCES keywright.organization,
    enabled_by       text        NOT NULL,
    enabled_at       timestamptz NOT NULL DEFAULT now()
);

-- How far a configuration has come from the retired default certificate (rule 66).
CREATE TYPE keywright.saml_check AS ENUM (
    'uses_default',       -- still has the retired default certificate, or none at all
    'switched',           -- has one of the organization; not tried yet
    'works',              -- service-provider-initiated sign-on was tried, and worked
    'idp_update_needed',  -- it did not work: the identity provider needs the certificate
    'done'
);

-- A SAML 2.0 service provider that signs its requests with a certificate. Which version signs is its
-- usage: place_kind saml_configuration, place = its name.
CREATE TABLE keywright.saml_configuration (
    saml_configuration_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id  bigint      NOT NULL REFERENCES keywright.organization,
    name             text        NOT NULL CHECK (name ~ '^[A-Za-z](_?[A-Za-z0-9])*$' AND length(name) <= 64),
    entity_id        text        NOT NULL CHECK (length(entity_id) BETWEEN 1 AND 1024),
    assertion_consumer_url text  NOT NULL CHECK (length(assertion_consumer_url) BETWEEN 1 AND 2048),
    check_state      keywright.saml_check NOT NULL DEFAULT 'uses_default',
    checked_at       timestamptz NOT NULL DEFAULT now(),
    created_at       timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX saml_names_are_unique ON keywright.saml_configuration (organization_id, lower(name));

-- However a usage changes, the configuration has to be tried again; and rule 65 holds.
CREATE FUNCTION keywright.follow_saml_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.version_id, OLD.place_kind, OLD.place) = (NEW.version_id, NEW.place_kind, NEW.place) THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' AND OLD.place_kind = 'saml_configuration' THEN
        UPDATE keywright.saml_configuration SET check_state = 'uses_default', checked_at = now()
         WHERE organization_id = OLD.organization_id AND name = OLD.place;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.place_kind = 'saml_configuration' THEN
        IF EXISTS (SELECT FROM keywright.certificate_version
                     JOIN keywright.retired_default USING (fingerprint)
                    WHERE version_id = NEW.version_id) THEN
            RAISE EXCEPTION 'a SAML configuration may not select the retired default certificate'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'retired_defaults_are_not_selected';
        END IF;
        UPDATE keywright.saml_configuration SET check_state = 'switched', checked_at = now()
         WHERE organization_id = NEW.organization_id AND name = NEW.place;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER saml_configurations_follow_their_usage
    AFTER INSERT OR UPDATE OR DELETE ON keywright.usage
    FOR EACH ROW EXECUTE FUNCTION keywright.follow_saml_usage();


-- ------------------------------------------------------------------------------ mutual TLS --

-- Roots that clients' certificates must lead to.
CREATE TABLE keywright.trusted_root (
    organization_id  bigint      NOT NULL REFERENCES keywright.organization,
    fingerprint      bytea       NOT NULL CHECK (length(fingerprint) = 32),
    subject          text        NOT NULL,
    not_after        timestamptz NOT NULL,
    certificate_der  bytea       NOT NULL,
    is_public        boolean     NOT NULL DEFAULT false,  -- of a public CA: will not renew for clients (rule 37)
    added_by         text        NOT NULL,
    added_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, fingerprint)
);

-- A version that a client may present. What it is, is in certificate and certificate_version; who
-- may present it and since when a listener accepts it, is here.
CREATE TABLE keywright.mutual_tls_client (
    organization_id  bigint      NOT NULL,
    version_id       bigint      NOT NULL,
    member_id        bigint,                              -- NULL: any member of the organization
    -- The trusted root that it leads to. Once that is gone from trusted_root, nobody accepts it.
    root_fingerprint bytea       NOT NULL CHECK (length(root_fingerprint) = 32),
    uploaded_by      text        NOT NULL,
    uploaded_at      timestamptz NOT NULL DEFAULT now(),
    withdrawn_at     timestamptz,
    PRIMARY KEY (version_id),
    FOREIGN KEY (organization_id, version_id)
        REFERENCES keywright.certificate_version (organization_id, version_id) ON DELETE CASCADE,
    FOREIGN KEY (organization_id, member_id)
        REFERENCES keywright.member (organization_id, member_id)
);
CREATE INDEX mutual_tls_client_organization ON keywright.mutual_tls_client (organization_id);


-- ------------------------------------------------------------------------- secrets and artifacts --

-- A secret that somebody handed over for a job, such as a keystore's password: a job has its id only.
CREATE TABLE keywright.handed_secret (
    secret_id        uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id  bigint      NOT NULL REFERENCES keywright.organization,
    -- UTF-8, an encrypted field (handed_secret.value); NULL once it was used up.
    value            bytea,
    purpose          text        NOT NULL CHECK (length(purpose) BETWEEN 1 AND 100),
    handed_by        text        NOT NULL,
    handed_at        timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz NOT NULL,
    used_at          timestamptz,
    gone_at          timestamptz,                         -- when its value was removed: used, or expired
    CONSTRAINT secrets_do_not_stay
        CHECK (expires_at > handed_at AND expires_at <= handed_at + interval '720 hours'),
    CONSTRAINT used_secrets_are_gone CHECK (used_at IS NULL OR gone_at IS NOT NULL)
) WITH (fillfactor = 90);
CREATE INDEX handed_secret_expires_at ON keywright.handed_secret (expires_at) WHERE gone_at IS NULL;

-- A file handed in or made here: encrypted at rest, and gone after a while.
CREATE TABLE keywright.artifact (
    artifact_id      uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id  bigint      NOT NULL REFERENCES keywright.organization,
    purpose          text        NOT NULL CHECK (purpose IN ('keystore_export', 'keystore_import')),
    file_name        text        NOT NULL CHECK (file_name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
    media_type       text        NOT NULL,
    size_bytes       integer     NOT NULL CHECK (size_bytes >= 0),
    sha256           bytea       NOT NULL CHECK (length(sha256) = 32),
    content          bytea,                               -- an encrypted field (artifact.content); NULL: gone
    requested_by     text        NOT NULL,
    job_id           bigint      CONSTRAINT a_job_makes_one_artifact UNIQUE,  -- that made it; NULL: handed in
    made_at          timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz NOT NULL,
    gone_at          timestamptz,                         -- when its content was removed
    fetches          integer     NOT NULL DEFAULT 0 CHECK (fetches >= 0),
    CONSTRAINT artifacts_do_not_stay
        CHECK (expires_at > made_at AND expires_at <= made_at + interval '720 hours')
) WITH (fillfactor = 90);
CREATE INDEX artifact_expires_at ON keywright.artifact (expires_at) WHERE gone_at IS NULL;
CREATE INDEX artifact_organization ON keywright.artifact (organization_id, made_at);

-- Who fetched what, and who tried to. Never changed.
CREATE TABLE keywright.artifact_fetch (
    fetch_id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id  bigint      NOT NULL REFERENCES keywright.organization,  -- in which it was asked for
    artifact_id      uuid        NOT NULL,                -- as asked for: it need not exist, nor belong there
    actor            text        NOT NULL,
    refused_because  text        CHECK (refused_because IN ('unknown', 'not_allowed', 'gone')),  -- NULL: it was given
    fetched_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX artifact_fetch_artifact ON keywright.artifact_fetch (artifact_id);
CREATE TRIGGER fetches_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON keywright.artifact_fetch
    FOR EACH STATEMENT EXECUTE FUNCTION keywright.refuse();
INSERT INTO keywright.encrypted_field
       (field_id, field_name, table_schema, table_name, column_name, column_type, key_columns,
        key_types, organization_column, state)
VALUES ('6b657977-7269-4768-8474-000000000002', 'handed_secret.value', 'keywright',
        'handed_secret', 'value', 'bytea', '{secret_id}', '{uuid}', 'organization_id', 'encrypted'),
       ('6b657977-7269-4768-8474-000000000003', 'artifact.content', 'keywright',
        'artifact', 'content', 'bytea', '{artifact_id}', '{uuid}', 'organization_id', 'encrypted');


-- ------------------------------------------------------------------------------- announcements --

-- What happened, for whoever cares, written in the transaction of the change (CloudEvents 1.0).
CREATE TABLE keywright.announcement (
    announcement_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id         uuid        NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    kind             text        NOT NULL CHECK (kind ~ '^[a-z][a-z_]*\.[a-z][a-z_]*$'),  -- past tense: master_key.rotated
    organization_id  bigint      REFERENCES keywright.organization,
    subject          text        NOT NULL,             -- what it happened to: master-key/7
    data             jsonb       NOT NULL CHECK (jsonb_typeof(data) = 'object'),
    occurred_at      timestamptz NOT NULL DEFAULT now(),
    relayed_at       timestamptz                       -- when the broker had it
) WITH (fillfactor = 90);
-- The relay: what the broker does not have yet, in order.
CREATE INDEX announcement_unrelayed ON keywright.announcement (announcement_id) WHERE relayed_at IS NULL;
-- Catching up: what happened to an organization since.
CREATE INDEX announcement_organization ON keywright.announcement (organization_id, announcement_id);
CREATE INDEX announcement_occurred_at ON keywright.announcement (occurred_at);

-- Numbers are drawn before their transactions end, so they do not become visible in order. Up to
-- this one all are there, or never will be: readers who go on from a number stop here. The scheduler
-- moves it (workers/announcements/settling.py).
CREATE TABLE keywright.announcement_mark (
    settled          bigint      NOT NULL DEFAULT 0,
    is_the_only_one  boolean     PRIMARY KEY DEFAULT true CHECK (is_the_only_one)
);
INSERT INTO keywright.announcement_mark DEFAULT VALUES;

CREATE FUNCTION keywright.settled_announcement() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (SELECT settled FROM keywright.announcement_mark);

-- The organizations whose announcements the one who is logged in may see: for a requester those in
-- which it has any grant; for the owner of all this, all.
CREATE FUNCTION keywright.audible_organizations() RETURNS TABLE (organization_id bigint, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT organization.organization_id, organization.name
      FROM keywright.organization
     WHERE organization.organization_id IN (
               SELECT requester_grant.organization_id FROM keywright.requester_grant
                WHERE requester_grant.requester_id = keywright.current_requester())
        OR pg_has_role(session_user, (SELECT relowner FROM pg_class
                                       WHERE oid = 'keywright.announcement'::regclass), 'USAGE');
END;

-- Who may see when the broker had one is one of ours, and sees them all.
ALTER TABLE keywright.announcement ENABLE ROW LEVEL SECURITY;
CREATE POLICY requesters_hear_of_their_organizations ON keywright.announcement
    USING ((SELECT has_column_privilege('keywright.announcement', 'relayed_at', 'SELECT'))
           OR (SELECT pg_has_role('pg_read_all_data', 'USAGE'))
           OR organization_id IN (SELECT organization_id FROM keywright.audible_organizations()))
    WITH CHECK (true);

-- Catching up in SQL: what a message on keywright.events says, in the order of its number.
CREATE VIEW keywright.event WITH (security_barrier, security_invoker) AS
SELECT announcement_id AS sequence, event_id AS id, 'keywright.' || kind || '.v1' AS type, subject,
       audible.name AS organization, occurred_at AS time, data
  FROM keywright.announcement
  LEFT JOIN keywright.audible_organizations() AS audible USING (organization_id)
 WHERE announcement_id <= keywright.settled_announcement();

-- Whatever made a job fail, it is announced.
CREATE FUNCTION keywright.announce_failure() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO keywright.announcement (kind, organization_id, subject, data)
    VALUES ('job.failed', NEW.organization_id, 'job/' || NEW.job_id,
            jsonb_build_object('job_id', NEW.job_id, 'kind', NEW.kind, 'attempt', NEW.attempt,
                               'requested_by', NEW.requested_by, 'door', NEW.door,
                               'problem', jsonb_build_object(
                                   'type', coalesce(NEW.problem ->> 'type', 'about:blank'),
                                   'title', coalesce(NEW.problem ->> 'title', ''))));
    RETURN NULL;
END $$;
CREATE TRIGGER failures_are_announced AFTER UPDATE OF state ON keywright.job
    FOR EACH ROW WHEN (NEW.state = 'failed' AND OLD.state <> 'failed')
    EXECUTE FUNCTION keywright.announce_failure();


-- ------------------------------------------------------------------------------------- webhooks --

-- An address that is told what happens in an organization, by HTTPS.
CREATE TABLE keywright.webhook_endpoint (
    endpoint_id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id  bigint      NOT NULL REFERENCES keywright.organization,
    name             text        NOT NULL CHECK (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
    url              text        NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
    kinds            text[]      NOT NULL DEFAULT '{}',   -- which announcements; none named: all
    allow_private    boolean     NOT NULL DEFAULT false,  -- also to addresses of the own network, and without TLS
    disabled_at      timestamptz,
    failures         integer     NOT NULL DEFAULT 0,      -- in a row
    open_until       timestamptz,                         -- the circuit is open: nothing is tried before
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, endpoint_id),
    CONSTRAINT webhook_names_are_unique UNIQUE (organization_id, name)
);

-- What its messages are signed with (Standard Webhooks). While one takes the place of another, both sign.
CREATE TABLE keywright.webhook_secret (
    webhook_secret_id uuid       PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id  bigint      NOT NULL,
    endpoint_id      bigint      NOT NULL,
    value            bytea       NOT NULL,                -- an encrypted field (webhook_secret.value)
    created_at       timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz,                         -- NULL: the newest
    FOREIGN KEY (organization_id, endpoint_id)
        REFERENCES keywright.webhook_endpoint (organization_id, endpoint_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX one_secret_of_a_webhook_is_the_newest
    ON keywright.webhook_secret (endpoint_id) WHERE expires_at IS NULL;
CREATE INDEX webhook_secret_expires_at ON keywright.webhook_secret (expires_at);
CREATE INDEX webhook_secret_endpoint ON keywright.webhook_secret (endpoint_id);
INSERT INTO keywright.encrypted_field
       (field_id, field_name, table_schema, table_name, column_name, column_type, key_columns,
        key_types, organization_column, state)
VALUES ('6b657977-7269-4768-8474-000000000004', 'webhook_secret.value', 'keywright',
        'webhook_secret', 'value', 'bytea', '{webhook_secret_id}', '{uuid}', 'organization_id', 'encrypted');

CREATE TYPE keywright.webhook_state AS ENUM (
    'waiting',    -- to be sent, for the first time or again
    'delivered',  -- answered with 2xx
    'given_up'    -- refused too often; `keywright webhook retry` sends it again
);

-- One announcement for one endpoint.
CREATE TABLE keywright.webhook_delivery (
    endpoint_id      bigint      NOT NULL REFERENCES keywright.webhook_endpoint ON DELETE CASCADE,
    announcement_id  bigint      NOT NULL REFERENCES keywright.announcement ON DELETE CASCADE,
    subject          text        NOT NULL,                -- the announcement's: order holds in each
    state            keywright.webhook_state NOT NULL DEFAULT 'waiting',
    attempt          smallint    NOT NULL DEFAULT 0,
    waits_since      timestamptz NOT NULL DEFAULT now(),  -- given up some days after
    next_at          timestamptz NOT NULL DEFAULT now(),
    last_status      smallint,                            -- of HTTP; NULL: no answer
    last_error       text,
    finished_at      timestamptz,
    PRIMARY KEY (endpoint_id, announcement_id),
    CONSTRAINT finished_deliveries_have_an_end CHECK ((state = 'waiting') = (finished_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX webhook_delivery_waiting
    ON keywright.webhook_delivery (endpoint_id, announcement_id) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_announcement ON keywright.webhook_delivery (announcement_id);
-- What failed and is tried again later: it holds back what came after it.
CREATE INDEX webhook_delivery_failing
    ON keywright.webhook_delivery (endpoint_id, subject, announcement_id) WHERE state = 'waiting' AND attempt > 0;

-- Whatever is announced is to be sent to the endpoints that want it, from the same commit on. A test is
-- for the endpoint that is tested. That telling one failed is not told: there would be no end to it.
CREATE FUNCTION keywright.call_webhooks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO keywright.webhook_delivery (endpoint_id, announcement_id, subject)
    SELECT endpoint.endpoint_id, announced.announcement_id, announced.subject
      FROM announced
      JOIN keywright.webhook_endpoint AS endpoint USING (organization_id)
     WHERE endpoint.disabled_at IS NULL
       AND CASE
           WHEN announced.kind = 'webhook.tested'
           THEN announced.data ->> 'endpoint_id' = endpoint.endpoint_id::text
           WHEN announced.kind = 'job.failed' AND announced.data ->> 'kind' = 'webhook.deliver'
           THEN false
           ELSE endpoint.kinds = '{}' OR announced.kind = ANY (endpoint.kinds)
                OR split_part(announced.kind, '.', 1) || '.*' = ANY (endpoint.kinds)
           END;
    RETURN NULL;
END $$;
CREATE TRIGGER webhooks_are_called AFTER INSERT ON keywright.announcement
    REFERENCING NEW TABLE AS announced
    FOR EACH STATEMENT EXECUTE FUNCTION keywright.call_webhooks();

-- What can be sent now. In what happened to one subject nothing overtakes: while one is to be tried again
-- later, what came after it waits. Other subjects go on.
CREATE VIEW keywright.webhook_due AS
SELECT endpoint_id, announcement_id, attempt, waits_since
  FROM keywright.webhook_delivery AS delivery
 WHERE state = 'waiting' AND next_at <= now() AND announcement_id <= keywright.settled_announcement()
   AND NOT EXISTS (
       SELECT FROM keywright.webhook_delivery AS failing
        WHERE failing.endpoint_id = delivery.endpoint_id AND failing.subject = delivery.subject
          AND failing.announcement_id < delivery.announcement_id
          AND failing.state = 'waiting' AND failing.attempt > 0 AND failing.next_at > now()
       OFFSET 0);  -- looked up one by one, whatever statistics of a fresh table say


-- ---------------------------------------------------------------------------------- audit record --

-- Who did what, and through which door; written by triggers in the transaction of the change, and
-- never changed.
CREATE TABLE keywright.audit_entry (
    entry_id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    occurred_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor            text        NOT NULL DEFAULT keywright.actor(),
    door             text        NOT NULL DEFAULT keywright.door(),
    database_role    text        NOT NULL DEFAULT session_user,
    job_id           bigint      DEFAULT keywright.acting_job(),
    organization_id  bigint,                              -- no reference: the record outlives it
    action           text        NOT NULL CHECK (action ~ '^[a-z][a-z_]*\.[a-z][a-z_]*$'),  -- certificate.create
    object           text        NOT NULL,                -- certificate/12
    before           jsonb,                               -- ids, names, dates and states; never a secret
    after            jsonb,
    reason           text,
    CONSTRAINT entries_have_a_time CHECK (isfinite(occurred_at))  -- or nobody could read or link them
);
CREATE INDEX audit_entry_organization ON keywright.audit_entry (organization_id, entry_id);
CREATE INDEX audit_entry_object ON keywright.audit_entry (object, entry_id);
CREATE TRIGGER audit_entries_are_never_changed
    BEFORE UPDATE OR DELETE OR TRUNCATE ON keywright.audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION keywright.refuse();

-- The chain over the entries: each link's hash covers its entry and the hash before. Links are made
-- a moment after the entries are committed, by one process at a time, so nobody waits for anybody.
CREATE TABLE keywright.audit_link (
    position         bigint      PRIMARY KEY CHECK (position >= 1),
    entry_id         bigint      NOT NULL UNIQUE,
    hash             bytea       NOT NULL CHECK (length(hash) = 32),
    linked_at        timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER audit_links_are_never_changed
    BEFORE UPDATE OR DELETE OR TRUNCATE ON keywright.audit_link
    FOR EACH STATEMENT EXECUTE FUNCTION keywright.refuse();

-- Entries that have no link yet: filled with them, emptied by who links.
CREATE TABLE keywright.audit_unlinked (
    entry_id         bigint      PRIMARY KEY
);
CREATE FUNCTION keywright.await_link() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO keywright.audit_unlinked (entry_id) SELECT entry_id FROM latter;
    RETURN NULL;
END $$;
CREATE TRIGGER entries_await_their_link AFTER INSERT ON keywright.audit_entry
    REFERENCING NEW TABLE AS latter
    FOR EACH STATEMENT EXECUTE FUNCTION keywright.await_link();

-- What changes no row, such as a key that is exported, is recorded by a call.
CREATE FUNCTION keywright.audit(
    action text, object text, organization_id bigint DEFAULT NULL, before jsonb DEFAULT NULL,
    after jsonb DEFAULT NULL, reason text DEFAULT NULL
) RETURNS void LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO keywright.audit_entry (action, object, organization_id, before, after, reason)
    VALUES (audit.action, audit.object, audit.organization_id, audit.before, audit.after, audit.reason);
END;

-- What is recorded, table by table: the noun of action and object; the columns that name the object;
-- the columns that are copied; those of which only is said that they changed (addresses, and what may
-- hold a secret); the column that says why; and the verbs where they are not create, update and
-- delete, as SQL. An update that leaves all these columns as they were is no entry. What is copied
-- stays for good, so it is ids, names, dates and states, and no secret, ciphertext or address.
-- Each table gets a trigger function of its own, since what is planned once costs a fifth of what is
-- planned at every call; and it looks at whole statements, so that bulk changes stay cheap.
DO $$
DECLARE
    each       record;
    named      text;
    whose      text;
    before     text;
    after      text;
    change     text;
    statements text[];
BEGIN
    FOR each IN SELECT * FROM (VALUES
        ('organization', 'organization', '{organization_id}',
         '{name,is_sandbox,time_zone,sending_hour,mutual_tls_since,most_open_jobs}', '{}', NULL, NULL, NULL, NULL),
        ('member', 'member', '{member_id}', '{profile,permissions,active,time_zone}', '{name,email}', NULL, NULL,
         $verb$CASE WHEN NOT was.permissions @> became.permissions THEN 'grant'
                    WHEN NOT became.permissions @> was.permissions THEN 'revoke' ELSE 'update' END$verb$, NULL),
        ('requester', 'requester', '{requester_id}', '{name,broker_user,database_role,disabled_at}', '{}', NULL, NULL,
         $verb$CASE WHEN was.disabled_at IS NULL AND became.disabled_at IS NOT NULL THEN 'disable'
                    WHEN was.disabled_at IS NOT NULL AND became.disabled_at IS NULL THEN 'enable'
                    ELSE 'update' END$verb$, NULL),
        ('requester_grant', 'grant', '{requester_id,organization_id,kind}', '{requester_id,kind}', '{}', NULL,
         NULL, NULL, NULL),
        ('certificate', 'certificate', '{certificate_id}',
         '{unique_name,label,kind,private_key_exportable,deleted_at,purge_at}', '{made_from}', NULL,
         $verb$CASE became.kind WHEN 'imported' THEN 'import' ELSE 'create' END$verb$,
         $verb$CASE WHEN was.deleted_at IS NULL AND became.deleted_at IS NOT NULL THEN 'delete'
                    WHEN was.deleted_at IS NOT NULL AND became.deleted_at IS NULL THEN 'restore'
                    ELSE 'update' END$verb$, $verb$'purge'$verb$),
        ('certificate_version', 'certificate_version', '{version_id}',
         '{certificate_id,version_number,serial,fingerprint,key_algorithm,not_after,public_key_hash,replaced_at,acknowledged_at}',
         '{}', NULL, NULL,
         $verb$CASE WHEN was.fingerprint IS NULL AND became.fingerprint IS NOT NULL THEN 'upload'
                    WHEN was.replaced_at IS NULL AND became.replaced_at IS NOT NULL THEN 'replace'
                    WHEN was.acknowledged_at IS NULL AND became.acknowledged_at IS NOT NULL THEN 'acknowledge'
                    ELSE 'update' END$verb$, $verb$'purge'$verb$),
        ('usage', 'usage', '{usage_id}', '{version_id,place_kind,place}', '{}', NULL, NULL, NULL, NULL),
        ('certificate_policy', 'certificate_policy', '{organization_id}',
         '{rekey_days_before,delete_expired_after_days,grace_days}', '{}', NULL, NULL, NULL, NULL),
        ('replacement', 'replacement', '{replacement_id}',
         '{old_version_id,new_version_id,state,requested_by,finished_by,overlap_by,switch_by,retire_by}', '{}', 'reason',
         NULL, $verb$CASE WHEN was.state = became.state THEN 'update' WHEN became.state = 'completed' THEN 'complete'
                          WHEN became.state = 'rolled_back' THEN 'roll_back' ELSE 'update' END$verb$, NULL),
        ('replacement_step', 'replacement_step', '{replacement_id,place_kind,place}',
         '{state,overlap_by,switch_by,retire_by,changed_by}', '{}', NULL, NULL, NULL, NULL),
        ('saml_configuration', 'saml_configuration', '{saml_configuration_id}',
         '{name,entity_id,assertion_consumer_url,check_state}', '{}', NULL, NULL, NULL, NULL),
        ('saml_multiple', 'saml_multiple', '{organization_id}', '{enabled_by}', '{}', NULL, $verb$'enable'$verb$, NULL, NULL),
        ('retired_default', 'retired_default', '{fingerprint}', '{subject,retired_by}', '{}', NULL, NULL, NULL, NULL),
        ('trusted_root', 'trusted_root', '{organization_id,fingerprint}', '{subject,not_after,is_public,added_by}', '{}',
         NULL, NULL, NULL, NULL),
        ('mutual_tls_client', 'mutual_tls_client', '{version_id}', '{member_id,root_fingerprint,uploaded_by,withdrawn_at}',
         '{}', NULL, $verb$'upload'$verb$,
         $verb$CASE WHEN was.withdrawn_at IS NULL AND became.withdrawn_at IS NOT NULL THEN 'withdraw'
                    ELSE 'update' END$verb$, NULL),
        ('handed_secret', 'handed_secret', '{secret_id}', '{purpose,handed_by,expires_at,used_at,gone_at}', '{}', NULL,
         NULL, $verb$CASE WHEN was.used_at IS NULL AND became.used_at IS NOT NULL THEN 'use_up'
                          WHEN was.gone_at IS NULL AND became.gone_at IS NOT NULL THEN 'expire'
                          ELSE 'update' END$verb$, NULL),
        ('artifact', 'artifact', '{artifact_id}',
         '{purpose,file_name,size_bytes,sha256,requested_by,job_id,expires_at,gone_at}', '{}', NULL, NULL,
         $verb$CASE WHEN was.gone_at IS NULL AND became.gone_at IS NOT NULL THEN 'delete' ELSE 'update' END$verb$,
         $verb$'purge'$verb$),
        ('artifact_fetch', 'artifact', '{artifact_id}', '{fetch_id,actor,refused_because}', '{}', NULL,
         $verb$CASE WHEN became.refused_because IS NULL THEN 'fetch' ELSE 'refuse' END$verb$, NULL, NULL),
        ('master_key', 'master_key', '{organization_id,key_number}', '{state,state_actor,origin,check_value,destroy_at}',
         '{}', 'state_reason',
         $verb$CASE became.origin WHEN 'uploaded' THEN 'upload' ELSE 'generate' END$verb$,
         $verb$CASE WHEN was.state = became.state
                    THEN CASE WHEN was.destroy_at IS NULL THEN 'schedule_destruction'
                              WHEN became.destroy_at IS NULL THEN 'keep' ELSE 'update' END
                    WHEN was.state = 'destroyed' THEN 'import'
                    WHEN was.state = 'suspended' AND became.state = 'archived' THEN 'reinstate'
                    WHEN became.state = 'archived' THEN 'archive'
                    WHEN became.state = 'suspended' THEN 'suspend'
                    WHEN became.state = 'compromised' THEN 'compromise'
                    WHEN became.state = 'destroyed' THEN 'destroy'
                    WHEN EXISTS (SELECT FROM keywright.master_key AS other
                                  WHERE other.organization_id = became.organization_id
                                    AND other.state IN ('archived', 'compromised')) THEN 'rotate'
                    ELSE 'activate' END$verb$, NULL),
        ('master_key_wrap', 'master_key_wrap', '{master_key_id,root_key}', '{wrapped_at}', '{}', NULL, NULL, NULL, NULL),
        ('rotation_policy', 'rotation_policy', '{organization_id}', '{every_days,reencrypt}', '{}', NULL, NULL, NULL, NULL),
        ('sealing_key', 'sealing_key', '{sealing_key_id}', '{created_at,opens_until,gone_at}', '{}', NULL, NULL,
         $verb$CASE WHEN was.gone_at IS NULL AND became.gone_at IS NOT NULL THEN 'destroy'
                    WHEN was.opens_until IS NULL AND became.opens_until IS NOT NULL THEN 'rotate'
                    ELSE 'update' END$verb$, NULL),
        ('sealing_key_wrap', 'sealing_key_wrap', '{sealing_key_id,root_key}', '{wrapped_at}', '{}', NULL, NULL, NULL, NULL),
        ('encrypted_field', 'encrypted_field', '{field_id}',
         '{field_name,connection_name,table_schema,table_name,column_name,key_columns,organization_column,mask_type,mask_character,state}',
         '{}', NULL, $verb$'register'$verb$, NULL, $verb$'unregister'$verb$),
        ('reencryption_run', 'reencryption_run', '{run_id}', '{purpose,field_ids,target_number,state,requested_by}',
         '{options}', NULL, NULL,
         $verb$CASE WHEN was.state = became.state THEN 'update' WHEN became.state = 'paused' THEN 'pause'
                    WHEN became.state = 'cancelled' THEN 'cancel' WHEN became.state = 'completed' THEN 'complete'
                    WHEN was.state = 'paused' THEN 'resume' ELSE 'update' END$verb$, NULL),
        ('quarantine', 'quarantine', '{quarantine_id}', '{field_id,class,key_number,resolved_at}', '{}', NULL, NULL,
         NULL, NULL),
        ('tier', 'tier', '{tier_days}', '{audience,life_divisor}', '{}', NULL, NULL, NULL, NULL),
        ('webhook_endpoint', 'webhook_endpoint', '{endpoint_id}', '{name,kinds,allow_private,disabled_at}', '{url}',
         NULL, NULL,
         $verb$CASE WHEN was.disabled_at IS NULL AND became.disabled_at IS NOT NULL THEN 'disable'
                    WHEN was.disabled_at IS NOT NULL AND became.disabled_at IS NULL THEN 'enable'
                    ELSE 'update' END$verb$, NULL),
        ('webhook_secret', 'webhook_secret', '{webhook_secret_id}', '{endpoint_id,created_at,expires_at}', '{}', NULL,
         NULL, $verb$CASE WHEN was.expires_at IS NULL AND became.expires_at IS NOT NULL THEN 'rotate'
                          ELSE 'update' END$verb$, NULL)
    ) AS audited (table_name, noun, keys, copied, noticed, reason, created, updated, deleted) LOOP
        -- An update may change what names the row: its rows are then two entries, as if it were another.
        SELECT format('%L || concat_ws(''/'', %s)', replace(each.noun, '_', '-') || '/',
                      string_agg(format(CASE WHEN atttypid = 'bytea'::regtype
                                             THEN 'encode(coalesce(became.%1$I, was.%1$I), ''hex'')'
                                             ELSE 'coalesce(became.%1$I, was.%1$I)' END, key), ', ' ORDER BY position))
          INTO named
          FROM unnest(each.keys::text[]) WITH ORDINALITY AS named_by (key, position)
          JOIN pg_attribute ON attrelid = ('keywright.' || each.table_name)::regclass AND attname = key;
        whose := CASE WHEN EXISTS (SELECT FROM pg_attribute
                                    WHERE attrelid = ('keywright.' || each.table_name)::regclass
                                      AND attname = 'organization_id')
                      THEN 'coalesce(became.organization_id, was.organization_id)' ELSE 'NULL::bigint' END;
        SELECT format('jsonb_build_object(%s)', string_agg(format('%L, became.%I', name, name), ', ' ORDER BY position))
          INTO after
          FROM unnest(each.copied::text[]) WITH ORDINALITY AS copied (name, position);
        before := replace(after, ' became.', ' was.');
        -- Of these, an update says which.
        SELECT coalesce(format(' || jsonb_strip_nulls(jsonb_build_object(''changed'', nullif(to_jsonb(array_remove('
                               'ARRAY[%s]::text[], NULL)), ''[]''::jsonb)))',
                               string_agg(format('CASE WHEN was.%1$I IS DISTINCT FROM became.%1$I THEN %1$L END', name), ', ')),
                        '')
          INTO change
          FROM unnest(each.noticed::text[]) AS name;
        statements := ARRAY[
            format('SELECT %L || %s, %s, %s, NULL::jsonb, %s, %s FROM latter AS became CROSS JOIN (SELECT (NULL::keywright.%I).*) AS was',
                   each.noun || '.', coalesce(each.created, '''create'''), named, whose, after,
                   coalesce('became.' || each.reason, 'NULL::text'), each.table_name),
            (SELECT format('SELECT %L || %s, %s, %s, CASE WHEN was.%s IS NOT NULL THEN %s END,'
                           ' CASE WHEN became.%s IS NOT NULL THEN %s%s END, %s'
                           ' FROM former AS was FULL JOIN latter AS became ON %s WHERE (%s) IS DISTINCT FROM (%s)',
                           each.noun || '.', coalesce(each.updated, '''update'''), named, whose,
                           (each.keys::text[])[1], before, (each.keys::text[])[1], after, change,
                           coalesce('became.' || each.reason, 'NULL::text'),
                           (SELECT string_agg(format('was.%1$I = became.%1$I', key), ' AND ') FROM unnest(each.keys::text[]) AS key),
                           string_agg(format('was.%I', name), ', '), string_agg(format('became.%I', name), ', '))
               FROM unnest(each.keys::text[] || each.copied::text[] || each.noticed::text[]) AS name),
            format('SELECT %L || %s, %s, %s, %s, NULL::jsonb, NULL::text FROM former AS was CROSS JOIN (SELECT (NULL::keywright.%I).*) AS became',
                   each.noun || '.', coalesce(each.deleted, '''delete'''), named, whose, before, each.table_name),
            format('SELECT %L, %L, NULL::bigint, NULL::jsonb, NULL::jsonb, NULL::text',
                   each.noun || '.truncate', replace(each.noun, '_', '-') || '/*')
        ];
        EXECUTE format(
            'CREATE FUNCTION keywright.%I() RETURNS trigger LANGUAGE plpgsql'
            ' SET timezone = ''UTC'' SET bytea_output = ''hex'' AS %L',
            'record_' || each.table_name,
            (SELECT format('BEGIN CASE TG_OP %s END CASE; RETURN NULL; END',
                           string_agg(format('WHEN %L THEN INSERT INTO keywright.audit_entry'
                                             ' (action, object, organization_id, before, after, reason) %s;',
                                             operation, statement), ' '))
               FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'], statements) AS each (operation, statement)));
        EXECUTE format(
            'CREATE TRIGGER creations_are_recorded AFTER INSERT ON keywright.%1$I'
            ' REFERENCING NEW TABLE AS latter FOR EACH STATEMENT EXECUTE FUNCTION keywright.%2$I();'
            'CREATE TRIGGER changes_are_recorded AFTER UPDATE ON keywright.%1$I'
            ' REFERENCING OLD TABLE AS former NEW TABLE AS latter FOR EACH STATEMENT EXECUTE FUNCTION keywright.%2$I();'
            'CREATE TRIGGER deletions_are_recorded AFTER DELETE ON keywright.%1$I'
            ' REFERENCING OLD TABLE AS former FOR EACH STATEMENT EXECUTE FUNCTION keywright.%2$I();'
            'CREATE TRIGGER truncations_are_recorded AFTER TRUNCATE ON keywright.%1$I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION keywright.%2$I()',
            each.table_name, 'record_' || each.table_name);
    END LOOP;
END $$;

-- Jobs come and go by the million; recorded is who stops one or lets it begin anew.
CREATE FUNCTION keywright.record_intervention() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM keywright.audit(TG_ARGV[0], 'job/' || NEW.job_id, NEW.organization_id,
                            jsonb_build_object('state', OLD.state), jsonb_build_object('state', NEW.state), NULL);
    RETURN NULL;
END $$;
CREATE TRIGGER cancellations_are_recorded AFTER UPDATE OF cancel_asked_at ON keywright.job
    FOR EACH ROW WHEN (OLD.cancel_asked_at IS NULL AND NEW.cancel_asked_at IS NOT NULL)
    EXECUTE FUNCTION keywright.record_intervention('job.cancel');
CREATE TRIGGER retries_are_recorded AFTER UPDATE OF attempt ON keywright.job
    FOR EACH ROW WHEN (OLD.state IN ('failed', 'cancelled') AND NEW.state = 'scheduled')
    EXECUTE FUNCTION keywright.record_intervention('job.retry');


-- ------------------------------------------------------------------------------ the doors, in SQL --

-- What speaks against a JSON value, by the part of JSON Schema (2020-12) that the contract uses: where
-- and why, and never the value itself. NULL: nothing does.
CREATE FUNCTION keywright.schema_fault(value jsonb, schema jsonb, definitions jsonb, place text)
RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    shape  text := jsonb_typeof(value);
    wanted text := schema ->> 'type';
    text_value text;
    part   record;
    fault  text;
BEGIN
    IF schema ? '$ref' THEN
        RETURN keywright.schema_fault(value, definitions -> replace(schema ->> '$ref', '#/$defs/', ''),
                                      definitions, place);
    END IF;
    IF schema ? 'anyOf' THEN
        FOR part IN SELECT alternative FROM jsonb_array_elements(schema -> 'anyOf') AS alternative LOOP
            text_value := keywright.schema_fault(value, part.alternative, definitions, place);
            IF text_value IS NULL THEN
                RETURN NULL;
            END IF;
            fault := coalesce(fault, text_value);
        END LOOP;
        RETURN fault;
    END IF;
    IF wanted IS NOT NULL AND wanted <> shape
       AND NOT (wanted = 'integer' AND shape = 'number' AND value::numeric = trunc(value::numeric)) THEN
        RETURN format('%s: is to be %s', place, wanted);
    END IF;
    IF schema ? 'const' AND value <> schema -> 'const' THEN
        RETURN format('%s: is to be %s', place, schema -> 'const');
    ELSIF schema ? 'enum' AND NOT schema -> 'enum' @> jsonb_build_array(value) THEN
        RETURN format('%s: is to be one of %s', place, schema -> 'enum');
    END IF;
    CASE shape
    WHEN 'string' THEN
        text_value := value #>> '{}';
        IF length(text_value) < (schema ->> 'minLength')::integer THEN
            RETURN format('%s: has at least %s characters', place, schema ->> 'minLength');
        ELSIF length(text_value) > (schema ->> 'maxLength')::integer THEN
            RETURN format('%s: has at most %s characters', place, schema ->> 'maxLength');
        ELSIF text_value !~ (schema ->> 'pattern') THEN
            RETURN format('%s: is not of the form %s', place, schema ->> 'pattern');
        ELSIF schema ->> 'format' = 'uuid'
              AND text_value !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
            RETURN format('%s: is to be a UUID', place);
        ELSIF schema ->> 'format' = 'date-time'
              AND text_value !~* '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)$' THEN
            RETURN format('%s: is to be a date and time with its offset (RFC 3339)', place);
        ELSIF schema ->> 'format' = 'date-time' THEN
            BEGIN
                PERFORM text_value::timestamptz;
            EXCEPTION WHEN datetime_field_overflow THEN
                RETURN format('%s: there is no such date', place);
            END;
        END IF;
    WHEN 'number' THEN
        IF value::numeric < (schema ->> 'minimum')::numeric
           OR value::numeric <= (schema ->> 'exclusiveMinimum')::numeric THEN
            RETURN format('%s: is too small', place);
        ELSIF value::numeric > (schema ->> 'maximum')::numeric
              OR value::numeric >= (schema ->> 'exclusiveMaximum')::numeric THEN
            RETURN format('%s: is too large', place);
        END IF;
    WHEN 'array' THEN
        IF jsonb_array_length(value) < (schema ->> 'minItems')::integer THEN
            RETURN format('%s: has at least %s entries', place, schema ->> 'minItems');
        ELSIF jsonb_array_length(value) > (schema ->> 'maxItems')::integer THEN
            RETURN format('%s: has at most %s entries', place, schema ->> 'maxItems');
        ELSIF schema ? 'items' THEN
            FOR part IN SELECT * FROM jsonb_array_elements(value) WITH ORDINALITY AS each (entry, number) LOOP
                fault := keywright.schema_fault(part.entry, schema -> 'items', definitions,
                                                format('%s.%s', place, part.number - 1));
                IF fault IS NOT NULL THEN
                    RETURN fault;
                END IF;
            END LOOP;
        END IF;
    WHEN 'object' THEN
        SELECT name INTO text_value FROM jsonb_array_elements_text(schema -> 'required') AS name
         WHERE NOT value ? name LIMIT 1;
        IF FOUND THEN
            RETURN format('%s: is missing', concat_ws('.', nullif(place, 'arguments'), text_value));
        ELSIF (SELECT count(*) FROM jsonb_object_keys(value)) > (schema ->> 'maxProperties')::integer THEN
            RETURN format('%s: has at most %s entries', place, schema ->> 'maxProperties');
        END IF;
        FOR part IN SELECT * FROM jsonb_each(value) AS each (name, entry) LOOP
            IF schema -> 'properties' ? part.name THEN
                fault := keywright.schema_fault(part.entry, schema -> 'properties' -> part.name, definitions,
                                                concat_ws('.', nullif(place, 'arguments'), part.name));
            ELSIF schema -> 'additionalProperties' = 'false' THEN
                fault := format('%s: has an entry that is not known; known are %s', place,
                                coalesce((SELECT string_agg(name, ', ' ORDER BY name)
                                            FROM jsonb_object_keys(schema -> 'properties') AS name), 'none'));
            ELSIF jsonb_typeof(schema -> 'additionalProperties') = 'object' THEN
                fault := keywright.schema_fault(part.entry, schema -> 'additionalProperties', definitions,
                                                place || '.…');
            END IF;
            IF fault IS NOT NULL THEN
                RETURN fault;
            END IF;
        END LOOP;
    ELSE
        NULL;
    END CASE;
    RETURN NULL;
END $$;

-- Whether a text is one line of what can be seen, for Python's isprintable() too; by code points, since
-- what [[:print:]] means depends on the database's locale.
CREATE FUNCTION keywright.is_printable(value text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
RETURN value !~ ('[\u0001-\u001f\u007f-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e'
                 '\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ue000-\uf8ff\ufeff\ufff9-\ufffb\U000110bd'
                 '\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a'
                 '\U000e0000-\U0010ffff]');

-- Whether a text is a private key or a keystore, in PEM or in base64 of DER: what no JSON Schema says, and
-- must not even be stored (as workers/contract/public_text.py: a sequence that begins with a version).
CREATE FUNCTION keywright.holds_private_key(value text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    start text := substr(translate(left(value, 128), E' \t\r\n\f\x0b', ''), 1, 32);
    der   bytea;
BEGIN
    IF strpos(value, 'PRIVATE KEY-----') > 0 THEN
        RETURN true;
    ELSIF start !~ '^[A-Za-z0-9+/]{16,}$' THEN
        RETURN false;
    END IF;
    der := decode(left(start, length(start) / 4 * 4), 'base64');
    RETURN get_byte(der, 0) = 48
       AND substr(der, 3 + CASE WHEN get_byte(der, 1) > 127 THEN get_byte(der, 1) & 127 ELSE 0 END, 2) = '\x0201';
END $$;

-- Refuses when the organization has as many unfinished jobs of requesters as it may. Counted without a
-- lock: those who ask in the same moment may go over the limit by their number.
CREATE FUNCTION keywright.admit_one_more(organization_id bigint) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    most integer;
BEGIN
    SELECT most_open_jobs INTO STRICT most FROM keywright.organization
     WHERE organization.organization_id = admit_one_more.organization_id;
    IF (SELECT count(*) FROM (
            SELECT FROM keywright.job
             WHERE job.organization_id = admit_one_more.organization_id AND requester_id IS NOT NULL
               AND state IN ('scheduled', 'ready', 'running')
             LIMIT most) AS open) >= most THEN
        RAISE EXCEPTION 'the organization has % unfinished jobs of requesters, as many as it may', most
            USING ERRCODE = 'configuration_limit_exceeded', HINT = 'Try again when some are done.';
    END IF;
END $$;

-- The one way in for others: checks the grant, the arguments and the limits, and inserts the job. For
-- keywright's own processes, which know who asks. A unique key is the requester's own: nobody can
-- stand in the way of another's, or of keywright's.
CREATE FUNCTION keywright.enqueue_for(
    requester bigint, door text, kind text, arguments jsonb, organization text,
    unique_key text DEFAULT NULL, run_at timestamptz DEFAULT NULL,
    reply_to text DEFAULT NULL, correlation_id text DEFAULT NULL
) RETURNS TABLE (job_id bigint, created boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    asked    record;
    fault    text;
    full_key text;
BEGIN
    -- One answer, whatever it is that is missing: it tells nobody what there is.
    SELECT requester.name, organization.organization_id, job_kind.queue, job_kind.max_attempts,
           job_kind.most_bytes, job_kind.arguments AS schema
      INTO asked
      FROM keywright.requester
      JOIN keywright.requester_grant USING (requester_id)
      JOIN keywright.organization USING (organization_id)
      JOIN keywright.job_kind USING (kind)
     WHERE requester.requester_id = enqueue_for.requester AND requester.disabled_at IS NULL
       AND lower(organization.name) = lower(enqueue_for.organization)
       AND job_kind.kind = enqueue_for.kind AND job_kind.for_requesters;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this requester has no grant for this kind of job in this organization'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'An operator gives one: keywright requester grant.';
    END IF;
    IF octet_length(enqueue_for.arguments::text) > asked.most_bytes THEN
        RAISE EXCEPTION 'arguments: at most % bytes as JSON', asked.most_bytes
            USING ERRCODE = 'program_limit_exceeded';
    END IF;
    fault := CASE
        WHEN enqueue_for.arguments IS NULL OR jsonb_typeof(enqueue_for.arguments) <> 'object'
        THEN 'arguments: is to be object'
        -- Who asks is known, and is not for the one who asks to say.
        WHEN enqueue_for.arguments ? 'requested_by' THEN 'requested_by: leave it out, it is known'
        WHEN EXISTS (SELECT FROM jsonb_each_text(enqueue_for.arguments) AS argument (name, value)
                      WHERE keywright.holds_private_key(value))
        THEN 'arguments: there is a private key in it; send the certificates alone'
        WHEN length(enqueue_for.unique_key) NOT BETWEEN 1 AND 200
             OR NOT keywright.is_printable(enqueue_for.unique_key)
        THEN 'unique_key: 1 to 200 printable characters'
        WHEN enqueue_for.run_at NOT BETWEEN '2000-01-01' AND now() + interval '10 years'
        THEN 'run_at: within the next ten years'
        ELSE keywright.schema_fault(enqueue_for.arguments, asked.schema, asked.schema -> '$defs', 'arguments')
    END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION '%', fault USING ERRCODE = 'invalid_parameter_value';
    END IF;
    full_key := asked.name || ':' || enqueue_for.unique_key;
    LOOP
        SELECT job.job_id, false INTO job_id, created
          FROM keywright.job
         WHERE job.kind = enqueue_for.kind AND job.organization_id = asked.organization_id
           AND job.unique_key = full_key AND state IN ('scheduled', 'ready', 'running');
        EXIT WHEN FOUND;
        PERFORM keywright.admit_one_more(asked.organization_id);
        INSERT INTO keywright.job
               (kind, queue, organization_id, arguments, unique_key, requester_id, requested_by, door,
                reply_to, correlation_id, run_at, max_attempts)
        VALUES (enqueue_for.kind, asked.queue::keywright.queue, asked.organization_id, enqueue_for.arguments,
                full_key, enqueue_for.requester, 'requester:' || asked.name, enqueue_for.door,
                enqueue_for.reply_to, enqueue_for.correlation_id, coalesce(enqueue_for.run_at, now()),
                asked.max_attempts)
            ON CONFLICT (kind, organization_id, unique_key)
               WHERE unique_key IS NOT NULL AND state IN ('scheduled', 'ready', 'running') DO NOTHING
        RETURNING job.job_id, true INTO job_id, created;
        EXIT WHEN FOUND;
        -- The one in the way has finished, or is found in the next turn.
    END LOOP;
    RETURN NEXT;
END $$;

-- The same for the requester who is logged in, in its own transaction. Returns the job's number.
CREATE FUNCTION keywright.enqueue(
    kind text, arguments jsonb DEFAULT '{}', organization text DEFAULT NULL,
    unique_key text DEFAULT NULL, run_at timestamptz DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT job_id
              FROM keywright.enqueue_for(
                       keywright.current_requester(),
                       keywright.requester_door(),
                       enqueue.kind, enqueue.arguments, enqueue.organization, enqueue.unique_key,
                       enqueue.run_at));
END $$;

-- Say who acts, for the audit record; returns what the session said before, to be said again.
CREATE FUNCTION keywright.say_who_acts(actor text, door text, job_id text) RETURNS text[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before text[] := ARRAY[current_setting('keywright.actor', true), current_setting('keywright.door', true),
                           current_setting('keywright.job_id', true)];
BEGIN
    PERFORM set_config('keywright.actor', coalesce(actor, ''), true),
            set_config('keywright.door', coalesce(door, ''), true),
            set_config('keywright.job_id', coalesce(job_id, ''), true);
    RETURN before;
END $$;

-- The door that a requester came through: it says no more than whether it was with the Python client.
CREATE FUNCTION keywright.requester_door() RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN CASE keywright.door() WHEN 'python' THEN 'python' ELSE 'sql' END;

-- Cancel a job of one's own: a waiting one at once, a running one at its next checkpoint. Returns its
-- state.
CREATE FUNCTION keywright.cancel(job_id bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    asking bigint := keywright.current_requester();
    said   text[];
    known  text;
BEGIN
    said := keywright.say_who_acts((SELECT 'requester:' || name FROM keywright.requester
                                     WHERE requester_id = asking), keywright.requester_door(), NULL);
    UPDATE keywright.job
       SET cancel_asked_at = coalesce(cancel_asked_at, now()),
           state = CASE state WHEN 'running' THEN state ELSE 'cancelled' END,
           finished_at = CASE state WHEN 'running' THEN NULL ELSE now() END
     WHERE job.job_id = cancel.job_id AND requester_id = asking
       AND state IN ('scheduled', 'ready', 'running')
    RETURNING state INTO known;
    IF FOUND THEN
        PERFORM keywright.say_who_acts(said[1], said[2], said[3]);
        RETURN known;
    END IF;
    SELECT state INTO known FROM keywright.job
     WHERE job.job_id = cancel.job_id AND requester_id = asking;
    IF known IS NULL THEN
        RAISE EXCEPTION 'this requester has no job %', cancel.job_id USING ERRCODE = 'no_data_found';
    END IF;
    RAISE EXCEPTION 'job % is % already', cancel.job_id, known
        USING ERRCODE = 'object_not_in_prerequisite_state';
END $$;

-- Let a failed or cancelled job of one's own begin anew, if it could still be asked for.
CREATE FUNCTION keywright.retry(job_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    asking bigint := keywright.current_requester();
    said   text[];
    mine   record;
BEGIN
    SELECT kind, organization_id, state INTO mine FROM keywright.job
     WHERE job.job_id = retry.job_id AND requester_id = asking
       FOR UPDATE;
    IF mine IS NULL THEN
        RAISE EXCEPTION 'this requester has no job %', retry.job_id USING ERRCODE = 'no_data_found';
    ELSIF mine.state NOT IN ('failed', 'cancelled') THEN
        RAISE EXCEPTION 'job % is %; only failed and cancelled jobs can be retried', retry.job_id, mine.state
            USING ERRCODE = 'object_not_in_prerequisite_state';
    ELSIF NOT EXISTS (SELECT FROM keywright.requester_grant JOIN keywright.job_kind USING (kind)
                       WHERE requester_id = asking AND organization_id = mine.organization_id
                         AND kind = mine.kind AND for_requesters) THEN
        RAISE EXCEPTION 'this requester has no grant for this kind of job in this organization'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'An operator gives one: keywright requester grant.';
    END IF;
    PERFORM keywright.admit_one_more(mine.organization_id);
    said := keywright.say_who_acts((SELECT 'requester:' || name FROM keywright.requester
                                     WHERE requester_id = asking), keywright.requester_door(), NULL);
    UPDATE keywright.job
       SET state = 'scheduled', run_at = now(), attempt = 0, hints = 0, finished_at = NULL,
           cancel_asked_at = NULL
     WHERE job.job_id = retry.job_id;
    PERFORM keywright.say_who_acts(said[1], said[2], said[3]);
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'job % cannot be retried: another unfinished job has its unique key', retry.job_id
        USING ERRCODE = 'object_not_in_prerequisite_state';
END $$;

-- A requester sees the jobs that it asked for, here and nowhere else: it has no right on the table. No
-- policy on keywright.job, since under one comparisons of queues and states, which count as leaky,
-- would keep everybody's queries from their indexes (docs/decisions).
CREATE VIEW keywright.requested_job WITH (security_barrier) AS
SELECT job_id, kind, organization.name AS organization, state::text AS state, attempt, max_attempts, progress,
       result, problem, substr(unique_key, position(':' IN unique_key) + 1) AS unique_key, run_at, enqueued_at,
       started_at, finished_at
  FROM keywright.job
  JOIN keywright.organization USING (organization_id)
 WHERE requester_id = (SELECT keywright.current_requester());

-- What to seal secrets to.
CREATE VIEW keywright.sealing_key_to_use AS
SELECT sealing_key_id, 'DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM' AS suite, public_key, created_at
  FROM keywright.sealing_key
 WHERE opens_until IS NULL AND gone_at IS NULL;


-- ------------------------------------------------------------------------------ who may do what --

-- What only the owner, or those below, may call.
REVOKE EXECUTE ON FUNCTION keywright.enqueue_for, keywright.enqueue, keywright.cancel, keywright.retry,
                           keywright.admit_one_more, keywright.call_webhooks,
                           keywright.announce_failure, keywright.answer, keywright.await_link FROM PUBLIC;

-- Make the group roles and give each what it needs, and no more; `keywright database create` calls it,
-- and calling it again mends what was changed. Logins are made members of one of them:
--   keywright_worker     does jobs
--   keywright_scheduler  clock, relays, intake: no certificates' content, keys or secrets
--   keywright_requester  another system's login: asks for jobs, and sees its own
--   keywright_reader     looks on, and sees no ciphertext, secret or argument
-- Roles belong to the whole server, so they may be there already, also made a moment ago by another.
CREATE PROCEDURE keywright.set_up_roles() LANGUAGE plpgsql AS $$
DECLARE
    role text;
    item text;
BEGIN
    -- One at a time in this database; in others of this server somebody may be at it, too.
    PERFORM pg_advisory_xact_lock(x'6b657977'::bigint);
    FOREACH role IN ARRAY ARRAY['keywright_worker', 'keywright_scheduler', 'keywright_requester', 'keywright_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA keywright TO %I', role);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA keywright FROM %I', role);
    END LOOP;

    -- Workers: the data, but not who may ask for what, no policy, and no record's past.
    GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA keywright TO keywright_worker;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA keywright TO keywright_worker;
    REVOKE INSERT, UPDATE ON keywright.installation, keywright.job_kind, keywright.requester,
           keywright.requester_grant, keywright.member, keywright.tier, keywright.certificate_policy,
           keywright.rotation_policy, keywright.trusted_root, keywright.retired_default,
           keywright.saml_multiple, keywright.master_key_transition, keywright.fire,
           keywright.announcement_mark, keywright.audit_link, keywright.audit_unlinked,
           keywright.webhook_secret FROM keywright_worker;
    REVOKE INSERT ON keywright.organization, keywright.encrypted_field, keywright.saml_configuration,
           keywright.webhook_endpoint FROM keywright_worker;
    -- Time, role and number of an entry are the database's to say.
    REVOKE INSERT, UPDATE ON keywright.audit_entry FROM keywright_worker;
    GRANT INSERT (action, object, organization_id, before, after, reason) ON keywright.audit_entry
       TO keywright_worker, keywright_scheduler;
    REVOKE UPDATE ON keywright.master_key_history, keywright.artifact_fetch,
           keywright.webhook_endpoint FROM keywright_worker;
    -- Where webhooks go is not for workers to say; secrets they re-encrypt, and remove when they expire.
    GRANT UPDATE (failures, open_until, disabled_at) ON keywright.webhook_endpoint TO keywright_worker;
    GRANT UPDATE (value), DELETE ON keywright.webhook_secret TO keywright_worker;
    GRANT DELETE ON keywright.job, keywright.intake, keywright.announcement, keywright.certificate,
          keywright.certificate_version, keywright.usage, keywright.replacement_step, keywright.notice,
          keywright.tier_record, keywright.reencryption_range, keywright.master_key_wrap,
          keywright.sealing_key_wrap, keywright.webhook_delivery TO keywright_worker;

    -- Schedulers: the ledger and what goes in and out.
    GRANT SELECT, INSERT, UPDATE ON keywright.job TO keywright_scheduler;
    GRANT SELECT, INSERT ON keywright.fire, keywright.intake, keywright.audit_link TO keywright_scheduler;
    GRANT SELECT, INSERT ON keywright.announcement TO keywright_scheduler;
    GRANT SELECT ON keywright.audit_entry TO keywright_scheduler;
    GRANT SELECT, DELETE ON keywright.audit_unlinked TO keywright_scheduler;
    GRANT UPDATE (relayed_at) ON keywright.announcement TO keywright_scheduler;
    GRANT SELECT, UPDATE ON keywright.announcement_mark TO keywright_scheduler;
    GRANT SELECT, INSERT, UPDATE, DELETE ON keywright.reply TO keywright_scheduler;
    GRANT SELECT ON keywright.installation, keywright.job_kind, keywright.requester, keywright.requester_grant,
                    keywright.webhook_due TO keywright_scheduler;
    GRANT SELECT (organization_id, name) ON keywright.organization TO keywright_scheduler;
    GRANT SELECT (endpoint_id, organization_id, disabled_at, open_until) ON keywright.webhook_endpoint
       TO keywright_scheduler;
    GRANT EXECUTE ON FUNCTION keywright.enqueue_for TO keywright_scheduler;

    -- Requesters: the doors, and what came of it.
    GRANT EXECUTE ON FUNCTION keywright.enqueue, keywright.cancel, keywright.retry TO keywright_requester;
    GRANT SELECT ON keywright.requested_job, keywright.event, keywright.sealing_key_to_use TO keywright_requester;
    GRANT SELECT (announcement_id, event_id, kind, organization_id, subject, data, occurred_at)
       ON keywright.announcement TO keywright_requester;

    -- Readers: everything that is neither secret nor ciphertext nor what a job was asked with.
    GRANT SELECT ON ALL TABLES IN SCHEMA keywright TO keywright_reader;
    FOREACH item IN ARRAY ARRAY['master_key_wrap', 'sealing_key_wrap', 'handed_secret', 'webhook_secret', 'artifact',
                                'webhook_endpoint',
                                'certificate_version', 'job', 'reply', 'intake'] LOOP
        EXECUTE format('REVOKE SELECT ON keywright.%I FROM keywright_reader', item);
        EXECUTE (
            SELECT coalesce(format('GRANT SELECT (%s) ON keywright.%I TO keywright_reader',
                                   string_agg(quote_ident(column_name), ', '), item), 'SELECT')
              FROM information_schema.columns
             WHERE table_schema = 'keywright' AND table_name = item
               AND column_name NOT IN ('wrapped_key', 'value', 'content', 'private_key', 'arguments', 'claim',
                                       'data', 'content_hash', 'url'));
    END LOOP;
    PERFORM keywright.audit('database.grant', 'database');
END $$;
