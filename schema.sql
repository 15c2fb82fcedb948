-- keywright: the whole schema, readable from top to bottom.
--
-- Everything lives in the Postgres schema "keywright" and runs on PostgreSQL 15 and later without
-- extensions. `keywright database create` applies this file in one transaction. Rules that must
-- always hold are constraints with names that read as sentences; the code relies on them.

CREATE SCHEMA keywright;
COMMENT ON SCHEMA keywright IS 'keywright schema version 1';


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
    permissions      text[]      NOT NULL DEFAULT '{}'
        CONSTRAINT permissions_are_known
        CHECK (permissions <@ ARRAY['receive_expiration_notices', 'modify_all_data']),
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
