-- The state of a claim is written without names now (services/eligibility/facts.py). No release ever wrote the form that
-- it had before, so there is nothing to convert; a database that has some is not silently emptied.
DO $$
BEGIN
    IF EXISTS (SELECT FROM claim_state) THEN
        RAISE EXCEPTION 'claim_state was written by a build older than the first release: start from an empty database';
    END IF;
END $$;
