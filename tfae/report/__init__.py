"""A run on one page, and runs beside each other: `tfae-report` and `tfae-compare`."""
