"""Kill real programs at random instants under mixed faults, and compare what they recorded with what arrived."""
