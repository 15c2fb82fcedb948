-- Run once by the postgres image, when its volume is still empty. Roles first: those that stand for
-- what somebody may do, then those that log in. `keywright database create` gives the former their
-- rights; it runs as the owner, who can make no roles.
CREATE ROLE keywright_worker NOLOGIN;
CREATE ROLE keywright_scheduler NOLOGIN;
CREATE ROLE keywright_requester NOLOGIN;
CREATE ROLE keywright_reader NOLOGIN;
-- So that bulk re-encryption sees how far replicas are behind, and waits for them.
GRANT pg_read_all_stats TO keywright_worker;

\set owner_password `cat /run/secrets/database_owner_password`
\set scheduler_password `cat /run/secrets/database_scheduler_password`
\set worker_password `cat /run/secrets/database_worker_password`
CREATE ROLE keywright_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE keywright_scheduler_login LOGIN PASSWORD :'scheduler_password'
    IN ROLE keywright_scheduler;
CREATE ROLE keywright_worker_login LOGIN PASSWORD :'worker_password'
    IN ROLE keywright_worker;

CREATE DATABASE keywright OWNER keywright_owner;
REVOKE ALL ON DATABASE keywright FROM PUBLIC;
GRANT CONNECT ON DATABASE keywright
    TO keywright_worker, keywright_scheduler, keywright_requester, keywright_reader;
