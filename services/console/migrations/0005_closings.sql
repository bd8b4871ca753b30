-- What the topics tell of dead letters that went back or were dropped, by where the record lay that the letter was.
CREATE TABLE closing (
    topic         text    NOT NULL,
    origin_lane   integer NOT NULL,
    origin_offset bigint  NOT NULL,
    what          text    NOT NULL CHECK (what IN ('redriven', 'dropped')),
    actor         text    NOT NULL,
    reason        text    NOT NULL,
    at_ms         bigint  NOT NULL,
    PRIMARY KEY (topic, origin_lane, origin_offset)
);
CREATE INDEX letter_origin ON letter (topic, origin_lane, origin_offset);
