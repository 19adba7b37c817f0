import Daemon
import DashboardProgram

await DashboardProgram.main()
