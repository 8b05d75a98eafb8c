"""One model of the fleet: what every cluster is supposed to hold, and what brings it there."""
