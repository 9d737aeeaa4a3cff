"""Mutation: guards are taken out one at a time, and the tests must notice. See ./dev mutants."""
