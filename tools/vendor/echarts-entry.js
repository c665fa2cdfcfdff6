// The part of Apache ECharts this product uses; see build.sh.
import * as echarts from "echarts/core";
import { BarChart, FunnelChart, LineChart, PieChart } from "echarts/charts";
import { AriaComponent, GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";

echarts.use([
  BarChart, FunnelChart, LineChart, PieChart,
  AriaComponent, GridComponent, LegendComponent, TooltipComponent, SVGRenderer,
]);
window.echarts = { init: echarts.init, getInstanceByDom: echarts.getInstanceByDom };
