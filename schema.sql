-- keywright: the whole schema, readable from top to bottom.
--
-- Everything lives in the Postgres schema "keywright" and runs on PostgreSQL 15 and later without
-- extensions. `keywright database create` applies this file in one transaction. Rules that must
-- always hold are constraints with names that read as sentences; the code relies on them.

CREATE SCHEMA keywright;
COMMENT ON SCHEMA keywright IS 'keywright schema version 2';


-- Tells this installation's messages from those of any other: part of every Message-ID.
CREATE TABLE keywright.installation (
    installation_id  uuid     NOT NULL DEFAULT gen_random_uuid(),
    is_the_only_one  boolean  PRIMARY KEY DEFAULT true CHECK (is_the_only_one)
);
INSERT INTO keywright.installation DEFAULT VALUES;


-- ------------------------------------------------------------------ organizations and members --

-- A tenant. Its local calendar decides on which day, and its sending hour at what time of that
-- day, its notices go out.
CREATE TABLE keywright.organization (
    organization_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             text        NOT NULL CHECK (name = btrim(name) AND length(name) BETWEEN 1 AND 80),
    is_sandbox       boolean     NOT NULL DEFAULT false,  -- said in every subject line
    time_zone        text        NOT NULL DEFAULT 'UTC',  -- IANA name; checked before it is stored
    sending_hour     smallint    NOT NULL DEFAULT 8 CHECK (sending_hour BETWEEN 0 AND 23),
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
    permissions      text[]      NOT NULL DEFAULT '{}'
        CONSTRAINT permissions_are_known
        CHECK (permissions <@ ARRAY['receive_expiration_notices', 'modify_all_data',
                                    'view_encrypted_data']),
    active           boolean     NOT NULL DEFAULT true,   -- a deactivated member is never told anything
    time_zone        text,                                -- for the dates in their mail; NULL: the organization's
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, member_id)                   -- lets other tables pin a member to its organization
);
CREATE UNIQUE INDEX member_emails_are_unique_in_an_organization
    ON keywright.member (organization_id, lower(email));


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
    unique_key        text        CHECK (length(unique_key) BETWEEN 1 AND 200),
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
-- The relay: what is due, oldest first, per queue.
CREATE INDEX job_scheduled ON keywright.job (queue, run_at, job_id) WHERE state = 'scheduled';
-- The relay: how much is out there already, and which hints must have been lost.
CREATE INDEX job_ready ON keywright.job (queue, hinted_at) WHERE state = 'ready';
-- The reaper: leases that ran out.
CREATE INDEX job_running ON keywright.job (lease_until) WHERE state = 'running';
-- People: what failed lately.
CREATE INDEX job_failed ON keywright.job (finished_at) WHERE state = 'failed';
-- `keywright status`: when the last scan ended.
CREATE INDEX job_last_scan ON keywright.job (finished_at)
    WHERE kind = 'expiry.scan' AND state = 'succeeded';

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
    created_at       timestamptz NOT NULL DEFAULT now(),
    deleted_at       timestamptz,
    UNIQUE (organization_id, certificate_id)
);
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
    not_after        timestamptz,
    serial           text,                                 -- lower-case hexadecimal
    fingerprint      bytea       CHECK (length(fingerprint) = 32),  -- SHA-256 over the DER
    subject          text,                                 -- RFC 4514
    issuer           text,                                 -- RFC 4514
    key_algorithm    text        NOT NULL,                 -- RSA, EC P-256, Ed25519, …
    key_size         integer,                              -- bits; NULL where the algorithm says it
    certificate_der  bytea,
    chain_der        bytea[]     NOT NULL DEFAULT '{}',    -- the issuers that came with it, nearest first
    -- PKCS #8, as ciphertext under the organization's master key: an encrypted field like any other
    -- (certificate.private_key). NULL for what was imported as a public certificate.
    private_key      bytea,
    -- Since when keywright answers for it. A tier that was due before is recorded as already past.
    known_since      timestamptz NOT NULL DEFAULT now(),
    replaced_at      timestamptz,                          -- a later version or certificate took its place
    acknowledged_at  timestamptz,                          -- still in use, and somebody knows it
    -- When the next tier is due; NULL: nothing to tell any more. The scan reads only this.
    next_notice_at   timestamptz,
    FOREIGN KEY (organization_id, certificate_id)
        REFERENCES keywright.certificate (organization_id, certificate_id),
    UNIQUE (certificate_id, version_number),
    UNIQUE (organization_id, version_id),
    CONSTRAINT dates_come_together CHECK ((not_before IS NULL) = (not_after IS NULL)),
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

-- A place where a certificate is used, and the version it has.
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


-- ------------------------------------------------------------------------------- announcements --

-- What happened, for whoever cares, written in the transaction of the change (CloudEvents 1.0).
CREATE TABLE keywright.announcement (
    announcement_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id         uuid        NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    kind             text        NOT NULL CHECK (kind ~ '^[a-z][a-z_]*\.[a-z][a-z_]*$'),  -- past tense: master_key.rotated
    organization_id  bigint      REFERENCES keywright.organization,
    subject          text        NOT NULL,             -- what it happened to: master-key/7
    data             jsonb       NOT NULL CHECK (jsonb_typeof(data) = 'object'),
    occurred_at      timestamptz NOT NULL DEFAULT now()
);
