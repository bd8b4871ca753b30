"""The sample day of both merchants: `day.yaml` says what happened, `day.py` makes the events, `day/` holds them."""
