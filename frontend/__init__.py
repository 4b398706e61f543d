"""What people see: widget, desk and their consumers."""
