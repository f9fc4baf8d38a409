"""Read runs from the API or from the journals, and draw them."""
