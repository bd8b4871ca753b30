"""Versions of the policies to try on recorded claims."""

from pathlib import Path

from shared.policy.load import POLICIES

# What 5 % makes of the worked examples: twice what 2.5 % does, and half a rial less to round.
_CHANGES = {
    "version: 1\n": "version: 2\n",
    "in_force_from: 2020-01-01T00:00:00Z": "in_force_from: 2027-01-01T00:00:00Z",
    'percent: "2.5"': 'percent: "5"',
    'withdrawal_fee: "-312500"': 'withdrawal_fee: "-625000"',
    'withdrawal_fee: "-300000"': 'withdrawal_fee: "-600000"',
    'withdrawal_fee: "-25001"': 'withdrawal_fee: "-50001"',
    'withdrawal_fee: "-25000"': 'withdrawal_fee: "-50000"',
}


def gejet_at_5_percent(folder: Path) -> Path:
    """Gejet's version 2: as version 1, but 5 % is kept on withdrawal, from 2027 on. The file."""
    text = (POLICIES / "gejet-mall" / "v1.yaml").read_text(encoding="utf-8")
    for before, after in _CHANGES.items():
        assert before in text, f"{before!r} is no longer in version 1"
        text = text.replace(before, after)
    path = folder / "gejet-mall" / "v2.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path
