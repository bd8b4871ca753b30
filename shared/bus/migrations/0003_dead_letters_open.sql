-- How many are open is asked every few seconds; most are closed.
CREATE INDEX dead_letter_open ON dead_letter (lane) WHERE state = 'dead';
