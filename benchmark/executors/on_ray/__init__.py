"""Runs on a Ray cluster, but for the executor itself; imported when one is used."""
