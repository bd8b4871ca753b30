#!/bin/bash
# Runs once, when the data folder is new: a role and a database of its own for each service, and no other may connect.
set -eu
for service in ${MAKEGOOD_SERVICES:-intake eligibility refund_calculation notification console}; do
  psql -v ON_ERROR_STOP=1 -v service="$service" -v password="$MAKEGOOD_DATABASE_PASSWORD" --username "$POSTGRES_USER" <<'SQL'
CREATE ROLE :"service" LOGIN PASSWORD :'password';
CREATE DATABASE :"service" OWNER :"service";
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
SQL
done
