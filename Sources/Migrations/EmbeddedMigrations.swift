extension MigrationCatalog {
    /// The files of `SQL/`, which the build embeds. Each file must have a line in ``embeddedFiles``. A test checks
    /// that.
    public static let embedded: MigrationCatalog = {
        do throws(MigrationError) {
            return try MigrationCatalog(embeddedFiles.compactMap { Migration(fileName: $0.name, sql: $0.sql) })
        } catch {
            preconditionFailure(error.description)
        }
    }()

    /// The embedded files by their names. `EmbedFiles` derives the identifiers by replacing `-` and `.` with `_`.
    static let embeddedFiles: [(name: String, sql: [UInt8])] = [
        ("commands_0001_create", PackageResources.commands_0001_create_sql),
        ("commands_0002_inline_projections", PackageResources.commands_0002_inline_projections_sql),
        ("dashboard_0001_create", PackageResources.dashboard_0001_create_sql),
        ("dashboard_0002_facts_by_aggregate", PackageResources.dashboard_0002_facts_by_aggregate_sql),
        ("dashboard_0003_versions", PackageResources.dashboard_0003_versions_sql),
        ("dead-letters_0001_create", PackageResources.dead_letters_0001_create_sql),
        ("dead-letters_0002_lookups", PackageResources.dead_letters_0002_lookups_sql),
        ("dead-letters_0003_deliveries", PackageResources.dead_letters_0003_deliveries_sql),
        ("dead-letters_0004_identity", PackageResources.dead_letters_0004_identity_sql),
        ("dead-letters_0005_checks_by_statement", PackageResources.dead_letters_0005_checks_by_statement_sql),
        ("dead-letters_0006_sequence_lookups", PackageResources.dead_letters_0006_sequence_lookups_sql),
        ("dead-letters_0007_circuit_breakers", PackageResources.dead_letters_0007_circuit_breakers_sql),
        ("dead-letters_0008_generic_plans", PackageResources.dead_letters_0008_generic_plans_sql),
        ("dead-letters_0009_following_sets", PackageResources.dead_letters_0009_following_sets_sql),
        ("dead-letters_0010_decisions", PackageResources.dead_letters_0010_decisions_sql),
        ("dead-letters_0011_lookups_by_statement", PackageResources.dead_letters_0011_lookups_by_statement_sql),
        ("inventory_0001_create", PackageResources.inventory_0001_create_sql),
        ("order-summary_0001_create", PackageResources.order_summary_0001_create_sql),
        ("order-summary_0002_facts_by_aggregate", PackageResources.order_summary_0002_facts_by_aggregate_sql),
        ("order-summary_0003_page_order", PackageResources.order_summary_0003_page_order_sql),
        ("order-summary_0004_versions", PackageResources.order_summary_0004_versions_sql),
        ("outbox_0001_outbox", PackageResources.outbox_0001_outbox_sql),
        ("outbox_0002_failed_history", PackageResources.outbox_0002_failed_history_sql),
        ("outbox-debezium_0001_adopt", PackageResources.outbox_debezium_0001_adopt_sql),
        ("outbox-debezium_0002_failed_history", PackageResources.outbox_debezium_0002_failed_history_sql),
        ("outbox-keep_0001_unpublished", PackageResources.outbox_keep_0001_unpublished_sql),
        ("orders_0001_write_model", PackageResources.orders_0001_write_model_sql),
        ("orders_0002_commands", PackageResources.orders_0002_commands_sql),
        ("orders_0003_payments", PackageResources.orders_0003_payments_sql),
        ("orders_0004_customers", PackageResources.orders_0004_customers_sql),
        ("orders_0005_shop_catalogue", PackageResources.orders_0005_shop_catalogue_sql),
        ("orders_0006_customer_changes", PackageResources.orders_0006_customer_changes_sql),
        ("processes_0001_create", PackageResources.processes_0001_create_sql),
        ("processes_0002_finished", PackageResources.processes_0002_finished_sql),
        ("products_0001_create", PackageResources.products_0001_create_sql),
        ("products_0002_changes", PackageResources.products_0002_changes_sql),
        ("projections_0001_create", PackageResources.projections_0001_create_sql),
        ("projections_0002_parking", PackageResources.projections_0002_parking_sql),
        ("projections_0003_deliveries", PackageResources.projections_0003_deliveries_sql),
        ("projections_0004_record_marks", PackageResources.projections_0004_record_marks_sql),
        ("projections_0005_kept_records", PackageResources.projections_0005_kept_records_sql),
        ("projections_0006_circuit_breakers", PackageResources.projections_0006_circuit_breakers_sql),
        ("projections_0007_parked_records", PackageResources.projections_0007_parked_records_sql),
        ("projections_0008_blocked_keys", PackageResources.projections_0008_blocked_keys_sql),
        ("projections_0009_versions", PackageResources.projections_0009_versions_sql),
        ("projections_0010_sequences_inline", PackageResources.projections_0010_sequences_inline_sql),
        ("sql-projections_0001_create", PackageResources.sql_projections_0001_create_sql),
        ("sql-projections_0002_definition", PackageResources.sql_projections_0002_definition_sql),
        ("sql-projections_0003_versions", PackageResources.sql_projections_0003_versions_sql),
        ("sql-projections_0004_files", PackageResources.sql_projections_0004_files_sql),
        ("sql-projections_0005_replays", PackageResources.sql_projections_0005_replays_sql),
        ("sql-projections_0006_inline", PackageResources.sql_projections_0006_inline_sql),
    ]
}
