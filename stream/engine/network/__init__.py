"""The Whisper network: encoder, decoder, and the kernels that compute them."""
