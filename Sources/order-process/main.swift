import Daemon
import OrderProcessProgram

await OrderProcessProgram.main()
