#!/bin/sh
# Run once by PostgreSQL's image, on an empty volume: a role a module that owns a database of its
# own, which no other may enter.
set -eu
for module in user product order payment notification; do
    # The password is read by psql itself: it stands on no command line.
    psql -X -q -v ON_ERROR_STOP=1 -v name="souk_$module" \
        -v secret="/run/secrets/postgres_$module" --username postgres <<'SQL'
\set password `cat :secret`
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
