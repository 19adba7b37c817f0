-- What each version was made and is run with, so that daemons with other files of the same version refuse to run: file
-- names with the SHA-256 digests of what decides the rows. NULL for a version that no daemon has run since then.
ALTER TABLE sql_projections ADD COLUMN definition jsonb;
