"""How it is measured: a process for everybody, results compared, turns taken, medians."""
