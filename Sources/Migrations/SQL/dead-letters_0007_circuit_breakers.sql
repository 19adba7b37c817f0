-- Alerts about circuit breakers go by that name.

ALTER TABLE dead_letter_alerts DROP CONSTRAINT dead_letter_alerts_kind_check;
UPDATE dead_letter_alerts
SET kind = CASE kind WHEN 'brake_opened' THEN 'circuit_breaker_opened' ELSE 'circuit_breaker_closed' END
WHERE kind IN ('brake_opened', 'brake_released');
ALTER TABLE dead_letter_alerts ADD CONSTRAINT dead_letter_alerts_kind_check
    CHECK (kind IN ('new_group', 'threshold', 'circuit_breaker_opened', 'circuit_breaker_closed'));
