"""Mutants that no test can catch, or none does, by file and change, with the reason."""

KNOWN: dict[str, str] = {}
