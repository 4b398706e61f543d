"""What people and programs see: widget, desk, API and their consumers."""
