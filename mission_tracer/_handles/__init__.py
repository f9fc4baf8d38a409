"""What stands behind the handles that a user holds."""
