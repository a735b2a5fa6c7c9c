//! From SQL text to statements and plans.
