"""One file for each method, and for what several share: `FAULTS`, a list of Fault."""
