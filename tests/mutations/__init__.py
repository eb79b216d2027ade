"""Faults seeded into the code, each with the test that must turn red: `make mutations`."""
