-- What the commands of payments need beside the shop's own table: a payment is authorized before it is completed, and can
-- be refunded in parts.

ALTER TABLE payments DROP CONSTRAINT payments_status_check;
ALTER TABLE payments
    ADD CONSTRAINT payments_status_check CHECK (status IN ('authorized', 'failed', 'completed', 'refunded')),
    ADD COLUMN authorized_at timestamptz,
    ADD COLUMN authorized_event_id uuid,
    ADD COLUMN refunded_amount numeric,
    ADD CONSTRAINT payments_refunded CHECK (refunded_amount BETWEEN 0 AND amount);

CREATE TABLE payment_refunds (
    payment_id  text NOT NULL REFERENCES payments,
    sequence    bigint NOT NULL CHECK (sequence > 0),
    amount      numeric NOT NULL CHECK (amount > 0),
    reason      text NOT NULL,
    refunded_at timestamptz NOT NULL,
    event_id    uuid NOT NULL,
    PRIMARY KEY (payment_id, sequence)
);

COMMENT ON COLUMN payments.amount IS 'The captured amount; before the capture, the authorized amount';
COMMENT ON COLUMN payments.refunded_amount IS
    'The sum of payment_refunds; NULL for a payment that its writer refunds as a whole or not at all';
COMMENT ON TABLE payment_refunds IS 'Each refund of a payment, with the sequence of its event';
