-- Run once by the postgres image, when its volume is still empty: keywright owns its database and
-- is nothing more than an ordinary role elsewhere.
\set password `cat /run/secrets/database_password`
CREATE ROLE keywright LOGIN PASSWORD :'password';
CREATE DATABASE keywright OWNER keywright;
REVOKE ALL ON DATABASE keywright FROM PUBLIC;
