import Daemon
import OrderSummaryProgram

await OrderSummaryProgram.main()
