"""What people may read of a call: rows, events and captions, masked for the person who looks."""
