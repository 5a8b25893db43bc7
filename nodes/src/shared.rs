//! What several node types share: typed inputs, templates, conditions and JavaScript's conversions.
