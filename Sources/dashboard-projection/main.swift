import Daemon

await DashboardProgram.main()
