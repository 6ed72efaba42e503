"""The gradient checker: problems, numeric derivatives, verdicts, likely faults, homework."""
