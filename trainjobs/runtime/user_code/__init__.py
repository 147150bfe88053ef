"""The world of the user's function: how it is found, what it prints, and what its errors mean."""
