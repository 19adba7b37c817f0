import Daemon

await OrderSummaryProgram.main()
