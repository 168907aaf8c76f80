"""The optimizer zoo: real optimizers, each made and stepped, and what it then keeps."""
