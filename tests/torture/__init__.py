"""Runs that are killed, cut, starved and lied to, each judged by one oracle. ./dev torture runs them all."""
