internal import Kafka
internal import Postgres
internal import StreamCore

/// New letters as columns for one INSERT.
struct LetterColumns {
    private var headerPlaces = Int64Array()
    private var headerNames = TextArray()
    private var headerValues = ByteaArray()

    private var consumers = TextArray()
    private var topics = TextArray()
    private var partitions = Int32Array()
    private var offsets = Int64Array()
    private var originTimes = TimestampArray()
    private var keys = ByteaArray()
    private var values = ByteaArray()
    private var kept = TextArray()
    private var isOrdered = BoolArray()
    private var eventIDs = UUIDArray()
    private var eventTypes = TextArray()
    private var states = TextArray()
    private var reasons = TextArray()
    private var stages = TextArray()
    private var classes = TextArray()
    private var messages = TextArray()
    private var firstClasses = TextArray()
    private var firstMessages = TextArray()
    private var fingerprints = TextArray()
    private var dialects = TextArray()
    private var replayTopics = TextArray()
    private var attempts = Int32Array()
    private var deliveries = Int32Array()
    private var due = Int64Array()
    private var groups = TextArray()
    private var marks = TextArray()

    /// - Parameter life: the state of the letter after its first batch.
    mutating func append(_ letter: Letter, _ life: LetterLife) {
        for header in letter.headers {
            // Numbered like WITH ORDINALITY, from 1.
            headerPlaces.append(Int64(consumers.count + 1))
            headerNames.append(header.name)
            headerValues.append(header.value)
        }
        let last = life.failure ?? letter
        consumers.append(letter.name.consumer)
        topics.append(letter.name.origin.topic)
        partitions.append(letter.name.origin.partition)
        offsets.append(letter.name.offset)
        originTimes.append(letter.originAt)
        keys.append(letter.key)
        values.append(letter.value)
        kept.append(letter.isValueWithConsumer ? "consumer" : "here")
        isOrdered.append(letter.isOrdered)
        eventIDs.append(letter.eventID)
        eventTypes.append(letter.eventType)
        states.append(life.state.rawValue)
        reasons.append(life.reason.rawValue)
        stages.append(last.stage)
        classes.append(life.errorClass)
        messages.append(last.message)
        firstClasses.append(life.firstErrorClass)
        firstMessages.append(life.isFirstFailure ? last.message : letter.message)
        fingerprints.append(life.fingerprint)
        dialects.append(letter.dialect.rawValue)
        replayTopics.append(letter.replayTopic)
        attempts.append(life.attempts)
        deliveries.append(life.delivery)
        if case .after(let milliseconds) = life.due { due.append(milliseconds) } else { due.appendNull() }
        groups.append(letter.name.group)
        marks.append(letter.name.mark)
    }

    var parameters: Parameters {
        Parameters {
            $0.append(headerPlaces)
            $0.append(headerNames)
            $0.append(headerValues)
            $0.append(consumers)
            $0.append(topics)
            $0.append(partitions)
            $0.append(offsets)
            $0.append(originTimes)
            $0.append(keys)
            $0.append(values)
            $0.append(kept)
            $0.append(isOrdered)
            $0.append(eventIDs)
            $0.append(eventTypes)
            $0.append(states)
            $0.append(reasons)
            $0.append(stages)
            $0.append(classes)
            $0.append(messages)
            $0.append(firstClasses)
            $0.append(firstMessages)
            $0.append(fingerprints)
            $0.append(dialects)
            $0.append(replayTopics)
            $0.append(attempts)
            $0.append(deliveries)
            $0.append(due)
            $0.append(groups)
            $0.append(marks)
        }
    }
}
