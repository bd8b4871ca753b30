"""What a running pipeline tells of itself."""
