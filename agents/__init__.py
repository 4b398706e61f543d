"""What listens, decides and speaks. Start at agents/pipeline.py."""
