"""What Python programs call: frames in, frames out."""
