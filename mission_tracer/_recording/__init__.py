"""Put the parts together: take facts, keep them, have them delivered."""
