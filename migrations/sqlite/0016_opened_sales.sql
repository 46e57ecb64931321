-- When the sale had opened before opens_at was put off.
ALTER TABLE concert ADD COLUMN opened_at INTEGER;
