// Cargo wants a target; nothing here is ever compiled.
