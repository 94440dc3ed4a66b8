//! Lists down, passages up, online answers.
