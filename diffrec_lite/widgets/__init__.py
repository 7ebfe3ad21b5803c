"""What every explorer of the course is made of: the base, the player, the one plot style, and the export."""
