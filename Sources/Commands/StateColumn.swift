public import Events
internal import Postgres
public import StreamCore
public import WireJSON

/// A column of a ``StateTable``, or two that belong together. A column is written from the state and read back with it,
/// unless ``constant``, ``derived`` or ``joined(_:)`` say otherwise.
public struct StateColumn<State: Sendable>: Sendable {
    let names: [String]
    /// Whether only the insertion writes it.
    private(set) var isConstant = false
    /// The SQL expressions that read it; nil if it is not read.
    private(set) var expressions: [String]?
    /// Appends one array for each name, with an element for each state; nil if the column is not written.
    let append: (@Sendable ([State], inout Parameters) -> Void)?

    private init(_ names: [String], _ append: @escaping @Sendable ([State], inout Parameters) -> Void) {
        self.names = names
        self.append = append
        expressions = names.map { "t.\($0)" }
    }

    private init(expression: String) {
        names = []
        append = nil
        expressions = [expression]
    }

    private static func array<Element: ArrayElement>(
        _ name: String, _ append: @escaping @Sendable (inout ArrayColumn<Element>, State) -> Void
    ) -> StateColumn {
        StateColumn([name]) { states, parameters in
            var array = ArrayColumn<Element>()
            for state in states { append(&array, state) }
            parameters.append(array)
        }
    }

    // MARK: types

    public static func text(
        _ name: String, _ value: @escaping @Sendable (State) -> String?
    ) -> StateColumn {
        array(name) { (array: inout TextArray, state) in array.append(value(state)) }
    }

    public static func bigint(
        _ name: String, _ value: @escaping @Sendable (State) -> Int64
    ) -> StateColumn {
        array(name) { (array: inout Int64Array, state) in array.append(value(state)) }
    }

    public static func numeric(
        _ name: String, _ value: @escaping @Sendable (State) -> DecimalAmount
    ) -> StateColumn {
        array(name) { (array: inout NumericArray, state) in
            let amount = value(state)
            array.append(coefficient: amount.coefficient, scale: amount.scale)
        }
    }

    public static func timestamp(
        _ name: String, _ value: @escaping @Sendable (State) -> Timestamp?
    ) -> StateColumn {
        array(name) { (array: inout TimestampArray, state) in array.append(value(state)) }
    }

    public static func uuid(
        _ name: String, _ value: @escaping @Sendable (State) -> EventID
    ) -> StateColumn {
        array(name) { (array: inout UUIDArray, state) in array.append(value(state)) }
    }

    /// - Parameter write: writes one JSON value.
    public static func json(
        _ name: String, _ write: @escaping @Sendable (State, inout JSONWriter) -> Void
    ) -> StateColumn {
        array(name) { (array: inout JSONArray, state) in
            var json = JSONWriter()
            write(state, &json)
            array.append(json: json.span)
        }
    }

    /// The time and the id of an event, in two columns.
    public static func moment(
        _ time: String, _ eventID: String, _ value: @escaping @Sendable (State) -> EventMoment?
    ) -> StateColumn {
        StateColumn([time, eventID]) { states, parameters in
            var times = TimestampArray(), eventIDs = UUIDArray()
            for state in states {
                let moment = value(state)
                times.append(moment?.at)
                eventIDs.append(moment?.eventID)
            }
            parameters.append(times)
            parameters.append(eventIDs)
        }
    }

    // MARK: variants

    /// The column never changes. Only the insertion writes it.
    public var constant: StateColumn {
        var column = self
        column.isConstant = true
        return column
    }

    /// The column follows from others. It is written for other readers of the table, and not read.
    public var derived: StateColumn {
        var column = self
        column.expressions = nil
        return column
    }

    /// The column is read by an SQL expression, in which `t` is the table.
    public func read(as expression: String) -> StateColumn {
        var column = self
        column.expressions = [expression]
        return column
    }

    /// A column of a joined table, for example `o.tenant_id`. It is not written.
    public static func joined(_ expression: String) -> StateColumn { StateColumn(expression: expression) }
}
